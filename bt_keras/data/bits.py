"""Images with more than 8 bits: their 8-bit levels."""

from __future__ import annotations

import tensorflow as tf
from absl import logging


def to_uint8(levels: tf.Tensor, bits: int) -> tf.Tensor:
    """Divides uint16 levels by `2 ** (bits - 8)`; larger ones raise an error."""
    fits = tf.debugging.assert_less(
        tf.reduce_max(tf.cast(levels, tf.int32)),
        2**bits,
        f"An image has values of more than the {bits} bits of config.data.bits",
    )
    with tf.control_dependencies([fits] if fits is not None else []):
        levels = tf.bitwise.right_shift(levels, tf.constant(bits - 8, tf.uint16))
    return tf.cast(levels, tf.uint8)


def warn_if_dark(images: str, largest: int, bits: int) -> None:
    """Warns if images with more than 8 bits use a part of their range only.

    Args:
        images: String, the images, to begin the message with.
        largest: Integer, their largest value; 0 if there are none.
        bits: Integer, the number of bits that is assumed.
    """
    needed = max(9, largest.bit_length())
    if 0 < largest < 2 ** (bits - 1) and needed < bits:
        logging.warning(
            "%s do not use the upper half of the %d bits that are assumed; the "
            "largest value is %d. If they have %d bits, give config.data.bits=%d "
            "(bits=%d of bt_keras.data.load); otherwise they are dark.",
            images,
            bits,
            largest,
            needed,
            needed,
            needed,
        )
