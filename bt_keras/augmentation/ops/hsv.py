"""Hue rotation in Pillow's 8-bit HSV, with the same results."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.augmentation.ops.packed_rgb import channels, from_channels


def _scale_to_255(x):
    """floor(255 x) for x in [0, 1], exact for every float32 x.

    Rounding may lift the product to the next whole number, so the candidate is tested
    without rounding: 256 x and its difference to a number close to it are exact.
    """
    level = tf.round(255.0 * x)
    return tf.where(256.0 * x - level >= x, level, level - 1.0)


def _sixth(x):
    """x / 6 with correct rounding, although XLA multiplies by constants' inverses."""
    sixth = x * (1.0 / 6.0)
    return sixth + ((x - 4.0 * sixth) - 2.0 * sixth) * (1.0 / 6.0)


def _plus_minus(whole, plus, minus):
    """whole + plus - minus with one rounding, where plus or minus is 1."""
    return tf.where(minus == 1.0, (whole - minus) + plus, (whole + plus) - minus)


def _to_hsv(red, green, blue):
    high = tf.maximum(red, tf.maximum(green, blue))
    spread = high - tf.minimum(red, tf.minimum(green, blue))
    chroma = tf.maximum(spread, 1.0)
    r, g, b = ((high - plane) / chroma for plane in (red, green, blue))
    sextant = tf.where(green == high, _plus_minus(2.0, r, b), _plus_minus(4.0, g, r))
    hue = _sixth(tf.where(red == high, b - g, sextant))
    hue = tf.where(hue < 0.0, hue + 1.0, hue)
    return _scale_to_255(hue), _scale_to_255(spread / tf.maximum(high, 1.0)), high


def _to_channel(offset, hue, saturation, value):
    """One of red, green and blue: value (1 - saturation ramp(hue)), rounded.

    On the circle of 510 half levels of hue, ramp rises from 0 to 1 within 85, is
    constant for 170 and falls to 0 within 85. Scaled by 21675, all terms are whole
    numbers below 2^24, so that the float32 division rounds to the nearest level as in
    exact arithmetic.
    """
    angle = offset * 85.0 + 2.0 * hue
    angle = tf.where(angle >= 510.0, angle - 510.0, angle)
    ramp = tf.clip_by_value(tf.minimum(angle, 340.0 - angle), 0.0, 85.0)
    level = value * (21675.0 - saturation * ramp)
    return tf.floor((2.0 * level + 21675.0) / 43350.0)


def adjust_hue(packed: tf.Tensor, hue: tf.Tensor) -> tf.Tensor:
    """Shifts the hue as torchvision's adjust_hue does.

    As in 8-bit arithmetic, the shift is truncated to a whole level and hues wrap around
    at 256. The conversion to HSV and back changes levels even if the shift is 0.

    Args:
        packed: int32 tensor of shape `(H, W)`.
        hue: float32 scalar in [-0.5, 0.5]. Shift as a fraction of the color circle.

    Returns:
        int32 tensor of shape `(H, W)`.
    """
    shift = tf.cast(tf.cast(hue * 255.0, tf.int32), tf.float32)
    hue, saturation, value = _to_hsv(*channels(packed, tf.float32))
    hue = hue + shift
    hue = tf.where(hue < 0.0, hue + 256.0, tf.where(hue >= 256.0, hue - 256.0, hue))
    # Level 255 is a full turn, the same color as level 0.
    hue = tf.where(hue == 255.0, 0.0, hue)
    levels = (_to_channel(n, hue, saturation, value) for n in (5.0, 3.0, 1.0))
    return from_channels(*levels)
