"""Pillow's Gaussian blur: three extended box filters along each axis."""

from __future__ import annotations

import math

import tensorflow as tf

from bt_keras.augmentation.ops import choose

PASSES = 3
ONE = 1 << 24  # 1.0 in Pillow's fixed-point weights


def _box_radius(sigma):
    """Integer part and value of the radius of the extended box filter.

    `PASSES` of these filters have the standard deviation `sigma`, see equations 7, 11
    and 14 of Gwosdek et al., "Theoretical foundations of Gaussian convolution by
    extended box filtering" (SSVM 2011).
    """
    variance = sigma * sigma / PASSES
    whole = tf.floor((tf.sqrt(12.0 * variance + 1.0) - 1.0) / 2.0)
    fraction = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
    return whole, whole + fraction / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)))


def _box_weights(sigma, reach):
    """Weights of the taps at distance 0..reach, as a list of uint32 scalars.

    `inner` is the weight of every pixel inside the box. The two pixels at its ends
    share the remainder to one.
    """
    whole, radius = _box_radius(sigma)
    inner = tf.floor(ONE / (2.0 * radius + 1.0))
    ends = tf.floor((ONE - (2.0 * whole + 1.0) * inner) / 2.0)
    weights = []
    for distance in range(reach + 1):
        weight = tf.where(whole >= distance, inner, 0.0)
        weight = tf.where(whole + 1.0 == distance, ends, weight)
        weights.append(tf.cast(tf.cast(weight, tf.int32), tf.uint32))
    return weights


def _unpack(packed):
    """Returns red and blue 16 bits apart, and green; two such pixels can be added."""
    return packed & 0xFF00FF, tf.bitwise.right_shift(packed, 8) & 0xFF


def _weighted_sum(groups, weights):
    """Sums groups of one or two packed images with one weight per group."""
    totals = [tf.constant(ONE // 2, tf.uint32)] * 3
    for packed, weight in zip(groups, weights, strict=True):
        red_blue, green = (
            sum(parts) for parts in zip(*map(_unpack, packed), strict=True)
        )
        levels = red_blue & 0xFFFF, green, tf.bitwise.right_shift(red_blue, 16)
        totals = [t + weight * x for t, x in zip(totals, levels, strict=True)]
    red, green, blue = totals
    red, blue = tf.bitwise.right_shift(red, 24), tf.bitwise.right_shift(blue, 8)
    return red + (tf.bitwise.right_shift(green, 16) & 0xFF00) + (blue & 0xFF0000)


def _length(packed, axis):
    """Returns the length of an axis, an integer if it is known."""
    static = packed.shape[axis]
    return tf.shape(packed)[axis] if static is None else static


def _rows_at(packed, reach):
    """Returns images shifted by -reach to reach rows, with edges repeated."""
    count = _length(packed, -2)
    rows = (tf.range(count) + distance for distance in range(-reach, reach + 1))
    rows = [tf.clip_by_value(row, 0, count - 1) for row in rows]
    return [tf.gather(packed, row, axis=-2) for row in rows]


def _columns_at(packed, reach):
    """Returns images shifted by -reach to reach columns; gathering would be slow."""
    first, last = [packed[..., :1]] * reach, [packed[..., -1:]] * reach
    padded = tf.concat([*first, packed, *last], axis=-1)
    count = _length(packed, -1)
    return [padded[..., start : start + count] for start in range(2 * reach + 1)]


def _box_passes(packed, weights, shifted):
    """Applies `PASSES` box filters along one axis, with rounding after each.

    Without a loop XLA would fuse the passes and compute the first ones many times.
    """
    reach = len(weights) - 1

    def step(count, x):
        at = shifted(x, reach)
        pairs = [(at[reach - d], at[reach + d]) for d in range(1, reach + 1)]
        return count + 1, _weighted_sum([(x,), *pairs], weights)

    return tf.while_loop(lambda count, _: count < PASSES, step, (0, packed))[1]


def gaussian_blur(
    packed: tf.Tensor, sigma: tf.Tensor, *, max_sigma: float = 2.0
) -> tf.Tensor:
    """Applies Pillow's `GaussianBlur(radius=sigma)`.

    Args:
        packed: int32 tensor of shape `(H, W)`, see `packed_rgb`; or `(N, H, W)`.
        sigma: float32 scalar, or tensor of shape `(N, 1, 1)`. Standard deviation in
            pixels; with 0 the image is returned unchanged.
        max_sigma: Float. Upper bound of `sigma`; it determines the number of filter
            taps. Defaults to `2.0`.

    Returns:
        int32 tensor of the shape of `packed`.
    """
    most = math.floor((math.sqrt(4.0 * max_sigma**2 + 1.0) - 1.0) / 2.0) + 1

    def blur(reach):
        weights = _box_weights(sigma, reach)
        x = tf.bitcast(packed, tf.uint32)
        x = _box_passes(x, weights, _columns_at)
        x = _box_passes(x, weights, _rows_at)
        return tf.bitcast(x, tf.int32)

    def narrow_or_wide():
        # In most cases the box ends beside its center and all other weights are 0.
        narrow = _box_radius(sigma)[0] < 1.0
        return choose.shortcut(narrow, lambda: blur(1), lambda: blur(most))

    return choose.where(sigma > 0.0, narrow_or_wide, packed)
