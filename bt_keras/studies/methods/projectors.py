"""Heads that the studied methods add or change."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from bt_keras import networks
from bt_keras.networks import BatchNormalization


def without_batch_norm(widths: Sequence[int]) -> keras.Sequential:
    """Builds a projector of Dense layers with biases and ReLU between them.

    Args:
        widths: Sequence of ints > 0, the widths of the layers.

    Returns:
        `keras.Sequential`, not built.
    """
    layers = []
    for index, width in enumerate(widths):
        if index:
            layers.append(keras.layers.ReLU())
        layers.append(keras.layers.Dense(int(width)))
    return keras.Sequential(layers, name="projector")


def ending_with_batch_norm(widths: Sequence[int], feature_dim: int) -> keras.Sequential:
    """Builds the library's projector with a batch norm after its last layer.

    Args:
        widths: Sequence of ints > 0, the widths of the layers.
        feature_dim: Integer > 0, the width F of the features.

    Returns:
        `keras.Sequential` (N, F) to (N, widths[-1]).

    Example:

    >>> from bt_keras.studies.methods.projectors import ending_with_batch_norm
    >>> ending_with_batch_norm((32, 16), feature_dim=8).layers[-1].name
    'bn2'
    """
    made = networks.projector(widths, feature_dim)
    made.add(BatchNormalization(name=f"bn{len(widths)}"))
    return made


def predictor(width: int, hidden: int) -> keras.Sequential:
    """Builds a predictor: Dense, batch norm, ReLU, Dense, from D to D.

    Args:
        width: Integer > 0, the width D of the embeddings.
        hidden: Integer > 0, the width of the hidden layer.

    Returns:
        `keras.Sequential` (N, D) to (N, D).

    Example:

    >>> from bt_keras.studies.methods.projectors import predictor
    >>> predictor(16, hidden=4).output_shape
    (None, 16)
    """
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dense(hidden, use_bias=False),
            BatchNormalization(),
            layers.ReLU(),
            layers.Dense(width),
        ],
        name="predictor",
    )
