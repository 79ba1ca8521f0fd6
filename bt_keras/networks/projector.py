"""The projector, between the backbone's features and the loss."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.networks.batch_norm import BatchNormalization


def projector(widths: Sequence[int], feature_dim: int) -> keras.Sequential:
    """Builds the projector of section 2.2 of the paper, without biases.

    Every width is a Dense layer, followed by batch norm and ReLU except for the last
    one, whose output is standardized inside the loss. Kernels are initialized as in
    PyTorch, from U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Args:
        widths: Sequence of ints > 0, the widths of the layers; (8192, 8192, 8192) in
            the paper.
        feature_dim: Integer, the width F of the backbone's features.

    Returns:
        `keras.Sequential` from features (N, F) to embeddings (N, widths[-1]).

    Raises:
        UsageError: If `widths` is empty or has an element that is not a positive int.

    Example:

    >>> from bt_keras.networks import projector
    >>> projector((32, 16), feature_dim=8).output_shape
    (None, 16)
    """
    is_sequence = isinstance(widths, (Sequence, np.ndarray)) and len(widths) > 0
    if not is_sequence or not all(map(checks.COUNT.accepts, widths)):
        raise UsageError(
            f"projector={checks.described(widths)} must be one or more positive ints, "
            "the widths of its layers, such as (8192, 8192, 8192)."
        )
    layers = [keras.Input((feature_dim,))]
    for index, width in enumerate(widths):
        if index:
            layers.append(BatchNormalization(name=f"bn{index}"))
            layers.append(keras.layers.ReLU(name=f"relu{index}"))
        layers.append(_linear(int(width), f"linear{index + 1}"))
    return keras.Sequential(layers, name="projector")


def _linear(width, name):
    initializer = keras.initializers.VarianceScaling(
        1.0 / 3.0, mode="fan_in", distribution="uniform"
    )
    return keras.layers.Dense(
        width, use_bias=False, kernel_initializer=initializer, name=name
    )
