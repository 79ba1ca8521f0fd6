"""Check that images are in [0, 1]."""

from __future__ import annotations

import keras
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


def _is_symbolic(inputs):
    return isinstance(inputs, keras.KerasTensor) or (
        tf.is_tensor(inputs) and not hasattr(inputs, "numpy")
    )
