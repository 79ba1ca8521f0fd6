"""Packed images: a pixel is one int32, with red in its lowest byte, then green, blue.

Operations that move pixels then move a third of the elements. XLA compiles one loop for
each result, so that it computes intermediate results of all three channels only once.
"""

from __future__ import annotations

import tensorflow as tf

_SHIFTS = (0, 8, 16)


def from_image(image: tf.Tensor) -> tf.Tensor:
    """Packs an image.

    Args:
        image: uint8 or float32 tensor of shape `(H, W, 3)` or `(N, H, W, 3)`. Floats
            are rounded and clipped to 0..255.

    Returns:
        int32 tensor of shape `(H, W)` or `(N, H, W)`.
    """
    if image.dtype != tf.uint8:
        levels = tf.cast(tf.round(tf.cast(image, tf.float32)), tf.int32)
        image = tf.cast(tf.clip_by_value(levels, 0, 255), tf.uint8)
    image = tf.pad(image, (*[(0, 0)] * (len(image.shape) - 1), (0, 1)))
    return tf.bitcast(image, tf.int32)


def to_image(packed: tf.Tensor) -> tf.Tensor:
    """Unpacks int32 `(H, W)` or `(N, H, W)` to float32 levels of three channels."""
    levels = tf.bitwise.right_shift(packed[..., None], tf.constant(_SHIFTS)) & 255
    return tf.cast(levels, tf.float32)


def channels(packed: tf.Tensor, dtype: tf.DType = tf.int32) -> tuple:
    """Returns the levels of red, green and blue as three tensors of type `dtype`."""
    red, green, blue = (tf.bitwise.right_shift(packed, shift) for shift in _SHIFTS)
    return tuple(tf.cast(level, dtype) for level in (red & 255, green & 255, blue))


def from_channels(red: tf.Tensor, green: tf.Tensor, blue: tf.Tensor) -> tf.Tensor:
    """Packs three tensors of whole levels in 0..255, of any type."""
    red, green, blue = (tf.cast(level, tf.int32) for level in (red, green, blue))
    return red + 256 * green + 65536 * blue
