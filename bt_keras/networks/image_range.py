"""Checks of the images that a loaded backbone gets: their shape and range."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from bt_keras.errors import UsageError

# Tolerates rounding, not 8-bit levels or images that are normalized already.
_TOLERANCE = 1e-3


def check(images) -> None:
    """Raises `UsageError` if images are outside [0, 1]; symbolic tensors are skipped.

    Args:
        images: Array or tensor of any shape.
    """
    if _is_symbolic(images):
        return
    low, high = float(tf.reduce_min(images)), float(tf.reduce_max(images))
    if not (low >= -_TOLERANCE and high <= 1 + _TOLERANCE):  # Also for NaN.
        raise UsageError(
            f"images must be in [0, 1] but range from {low:.4g} to {high:.4g}: divide "
            "8-bit levels by 255, and do not normalize the images, since the module "
            "does (check_range=False turns this check off)."
        )


def check_shape(images, expected: Sequence[int | None]) -> None:
    """Raises `UsageError` if images do not have the shape that a module takes.

    Args:
        images: Array, nested list or tensor, symbolic or not.
        expected: Sequence of four entries, `None` for any size.
    """
    shape = images.shape if hasattr(images, "shape") else np.shape(images)
    shape = tf.TensorShape(shape)
    if shape.is_compatible_with(tf.TensorShape([None, *expected[1:]])):
        return
    sides = (side or name for side, name in zip(expected[1:3], "HW", strict=True))
    wanted = f"(N, {', '.join(map(str, sides))}, {expected[3]})"
    raise UsageError(
        f"images must have the shape {wanted}, but have {tuple(shape)}: "
        f"{_advice(shape, expected)}."
    )


def _advice(shape, expected):
    if shape.rank == 3 and shape[-1] == expected[-1]:
        return "add the axis of the batch, as in images[np.newaxis]"
    if shape.rank == 4 and shape[-1] == 1 and expected[-1] == 3:
        return "repeat gray images three times, as in np.repeat(images, 3, axis=-1)"
    if shape.rank == 4 and shape[-1] == expected[-1]:
        return "resize the images"
    kind = "RGB images" if expected[-1] == 3 else f"images of {expected[-1]} bands"
    return f"the module takes batches of {kind}, channels last"


def _is_symbolic(inputs):
    return isinstance(inputs, keras.KerasTensor) or (
        tf.is_tensor(inputs) and not hasattr(inputs, "numpy")
    )
