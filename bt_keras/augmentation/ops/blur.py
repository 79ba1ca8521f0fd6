"""Gaussian blur as Pillow does it: extended box filters, three along each axis."""

import math

import tensorflow as tf

PASSES = 3
ONE = 1 << 24  # of Pillow's fixed-point weights


def _box_radius(sigma):
    """Radius of the box whose `PASSES`-fold convolution has deviation `sigma`.

    Equations 7, 11 and 14 of Gwosdek et al., "Theoretical foundations of Gaussian
    convolution by extended box filtering" (SSVM 2011): the whole part, and all of it.
    """
    variance = sigma * sigma / PASSES
    whole = tf.floor((tf.sqrt(12.0 * variance + 1.0) - 1.0) / 2.0)
    part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
    return whole, whole + part / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)))


def _box_weights(sigma, reach):
    """Weights of the taps at distance 0..reach, as a list of uint32 scalars.

    `inner` is the weight of every pixel inside the box; what is left to one goes in
    halves to the two at its ends.
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


def _unpack(words):
    """Red and blue, 16 bits apart, and green; so two pixels may be added."""
    return words & 0xFF00FF, tf.bitwise.right_shift(words, 8) & 0xFF


def _weighted_sum(groups, weights):
    """Sums groups of one or two words with one weight a group, rounded to words."""
    totals = [tf.constant(ONE // 2, tf.uint32)] * 3
    for words, weight in zip(groups, weights, strict=True):
        red_blue, green = (
            sum(parts) for parts in zip(*map(_unpack, words), strict=True)
        )
        levels = red_blue & 0xFFFF, green, tf.bitwise.right_shift(red_blue, 16)
        totals = [t + weight * x for t, x in zip(totals, levels, strict=True)]
    red, green, blue = totals
    red, blue = tf.bitwise.right_shift(red, 24), tf.bitwise.right_shift(blue, 8)
    return red + (tf.bitwise.right_shift(green, 16) & 0xFF00) + (blue & 0xFF0000)


def _rows_at(words, reach):
    """Rows at the distances -reach to reach from every row, edges repeated."""
    count = words.shape[0]
    rows = (tf.range(count) + distance for distance in range(-reach, reach + 1))
    return [tf.gather(words, tf.clip_by_value(row, 0, count - 1)) for row in rows]


def _columns_at(words, reach):
    """The same along the width, where gathering would be slow."""
    first, last = [words[:, :1]] * reach, [words[:, -1:]] * reach
    padded = tf.concat([*first, words, *last], axis=1)
    count = words.shape[1]
    return [padded[:, start : start + count] for start in range(2 * reach + 1)]


def _box_passes(words, weights, neighbours):
    """`PASSES` box filters along one axis, rounding after each.

    A loop, because XLA would fuse the passes and compute the first ones many times.
    """
    reach = len(weights) - 1

    def step(count, x):
        at = neighbours(x, reach)
        pairs = [(at[reach - d], at[reach + d]) for d in range(1, reach + 1)]
        return count + 1, _weighted_sum([(x,), *pairs], weights)

    return tf.while_loop(lambda count, _: count < PASSES, step, (0, words))[1]


def gaussian_blur(words, sigma, *, max_sigma=2.0):
    """Blurs with Pillow's `GaussianBlur(radius=sigma)`; 0 leaves the image as it is.

    Args:
        words: int32 tensor of shape `(H, W)`, see `ops.words`.
        sigma: float32. Standard deviation in pixels.
        max_sigma: float. The largest sigma that can occur; it sets the number of
            filter taps.

    Returns:
        int32 tensor of shape `(H, W)`.
    """
    most = math.floor((math.sqrt(4.0 * max_sigma**2 + 1.0) - 1.0) / 2.0) + 1

    def blur(reach):
        weights = _box_weights(sigma, reach)
        x = tf.bitcast(words, tf.uint32)
        x = _box_passes(x, weights, _columns_at)
        x = _box_passes(x, weights, _rows_at)
        return tf.bitcast(x, tf.int32)

    def narrow_or_wide():
        # Most often the box ends beside its centre, and the other taps weigh nothing.
        narrow = _box_radius(sigma)[0] < 1.0
        return tf.cond(narrow, lambda: blur(1), lambda: blur(most))

    return tf.cond(sigma > 0.0, narrow_or_wide, lambda: words)
