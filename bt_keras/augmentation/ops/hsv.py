"""Hue rotation through Pillow's 8-bit HSV, to the level."""

import tensorflow as tf

from bt_keras.augmentation.ops.packed_rgb import channels, from_channels


def _scale_to_255(x):
    """floor(255 x) for x in [0, 1], exact for every float32 x.

    The rounded product can reach the next whole number from below, so the candidate
    is checked without rounding: 256 x and its distance to a near number are exact.
    """
    level = tf.round(255.0 * x)
    return tf.where(256.0 * x - level >= x, level, level - 1.0)


def _sixth(x):
    """x / 6, rounded correctly although XLA multiplies by the inverse of constants."""
    sixth = x * (1.0 / 6.0)
    return sixth + ((x - 4.0 * sixth) - 2.0 * sixth) * (1.0 / 6.0)


def _plus_minus(whole, plus, minus):
    """whole + plus - minus, where one of plus and minus is 1, with one rounding."""
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

    On the circle of 510 half levels of hue, ramp rises from 0 to 1 within 85, stays
    for 170 and falls again. Multiplied out, everything is a whole number below 2^24,
    so the float32 division rounds to the nearest level as exact arithmetic would.
    """
    place = offset * 85.0 + 2.0 * hue
    place = tf.where(place >= 510.0, place - 510.0, place)
    ramp = tf.clip_by_value(tf.minimum(place, 340.0 - place), 0.0, 85.0)
    level = value * (21675.0 - saturation * ramp)
    return tf.floor((2.0 * level + 21675.0) / 43350.0)


def adjust_hue(words, hue):
    """Turns the hue by a fraction of the colour circle, as torchvision's adjust_hue.

    The shift is truncated to whole levels of 256 and hues wrap around, both as 8-bit
    arithmetic does; even a shift of 0 changes levels.
    """
    shift = tf.cast(tf.cast(hue * 255.0, tf.int32), tf.float32)
    hue, saturation, value = _to_hsv(*channels(words, tf.float32))
    hue = hue + shift
    hue = tf.where(hue < 0.0, hue + 256.0, tf.where(hue >= 256.0, hue - 256.0, hue))
    # Level 255 is the full circle, the same colour as level 0.
    hue = tf.where(hue == 255.0, 0.0, hue)
    levels = (_to_channel(n, hue, saturation, value) for n in (5.0, 3.0, 1.0))
    return from_channels(*levels)
