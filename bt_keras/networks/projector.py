"""The projector: what stands between the backbone's features and the loss."""

import keras

from bt_keras.errors import UsageError
from bt_keras.networks.batch_norm import BatchNormalization


def projector(widths, feature_dim):
    """Builds the projector of the paper's section 2.2, without biases.

    Dense -> batch norm -> ReLU for all widths but the last, which is Dense alone: its
    output is standardised inside the loss. Dense layers start as PyTorch's do, from
    U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    Args:
        widths: sequence of ints > 0, (8192, 8192, 8192) in the paper.
        feature_dim: int, the width F of the backbone's features.

    Returns:
        A `keras.Sequential`, features (N, F) to projections (N, widths[-1]).

    Raises:
        UsageError: if there is no width, or one is not a positive integer.
    """
    widths = tuple(widths)
    if not widths or not all(isinstance(w, int) and w > 0 for w in widths):
        raise UsageError(
            f"projector={widths!r} must be one or more positive integers, the widths "
            "of its layers, such as (8192, 8192, 8192)."
        )
    layers = [keras.Input((feature_dim,))]
    for index, width in enumerate(widths):
        if index:
            layers.append(BatchNormalization(name=f"bn{index}"))
            layers.append(keras.layers.ReLU(name=f"relu{index}"))
        layers.append(_linear(width, f"linear{index + 1}"))
    return keras.Sequential(layers, name="projector")


def _linear(width, name):
    initializer = keras.initializers.VarianceScaling(
        1.0 / 3.0, mode="fan_in", distribution="uniform"
    )
    return keras.layers.Dense(
        width, use_bias=False, kernel_initializer=initializer, name=name
    )
