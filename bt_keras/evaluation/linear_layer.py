"""The linear classifier of the paper's protocols, and its accuracies."""

from __future__ import annotations

from typing import Any

import keras


def linear_layer(num_classes: int, **kwargs: Any) -> keras.layers.Dense:
    """Returns the paper's classifier, a float32 layer.

    The initial weights are drawn from N(0, 0.01²), the initial biases are 0.

    Args:
        num_classes: Integer.
        **kwargs: Further arguments of `keras.layers.Dense`.
    """
    return keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        **kwargs,
    )


def accuracies() -> list[keras.metrics.Metric]:
    """Returns new Keras metrics named `top1` and `top5`."""
    return [
        keras.metrics.SparseTopKCategoricalAccuracy(top, name=f"top{top}")
        for top in (1, 5)
    ]
