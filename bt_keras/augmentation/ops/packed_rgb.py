"""Images as words: a pixel is one int32, red in its lowest byte, green, blue above.

What moves pixels then moves a third as many elements as there are levels, and the
compiler, which makes one loop for each result, computes what the channels share once.
"""

import tensorflow as tf

_SHIFTS = (0, 8, 16)


def from_image(image):
    """uint8 or float32 levels (H, W, 3), rounded and clipped, to words (H, W)."""
    if image.dtype != tf.uint8:
        levels = tf.cast(tf.round(tf.cast(image, tf.float32)), tf.int32)
        image = tf.cast(tf.clip_by_value(levels, 0, 255), tf.uint8)
    image = tf.pad(image, ((0, 0), (0, 0), (0, 1)))
    return tf.bitcast(image, tf.int32)


def to_image(words):
    """Words (H, W) to float32 levels (H, W, 3)."""
    levels = tf.bitwise.right_shift(words[:, :, None], tf.constant(_SHIFTS)) & 255
    return tf.cast(levels, tf.float32)


def channels(words, dtype=tf.int32):
    """Red, green and blue of words, as levels of the given type."""
    red, green, blue = (tf.bitwise.right_shift(words, shift) for shift in _SHIFTS)
    return tuple(tf.cast(level, dtype) for level in (red & 255, green & 255, blue))


def from_channels(red, green, blue):
    """Words of three tensors of whole levels in 0..255, of any type."""
    red, green, blue = (tf.cast(level, tf.int32) for level in (red, green, blue))
    return red + 256 * green + 65536 * blue
