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


def _box_passes(planes, weights):
    """`PASSES` box filters along axis 1, edges repeated, rounding after each.

    A loop, because XLA would fuse the passes and compute the first ones many times.
    """
    reach, size = len(weights) - 1, planes.shape[1]

    def step(count, x):
        first, last = [x[:, :1]] * reach, [x[:, -1:]] * reach
        padded = tf.concat([*first, x, *last], axis=1)
        total = weights[0] * x + tf.constant(ONE // 2, tf.uint32)
        for distance in range(1, reach + 1):
            before = padded[:, reach - distance : reach - distance + size]
            after = padded[:, reach + distance : reach + distance + size]
            total += weights[distance] * (before + after)
        return count + 1, total // ONE

    return tf.while_loop(lambda count, _: count < PASSES, step, (0, planes))[1]


def gaussian_blur(planes, sigma, *, max_sigma=2.0):
    """Blurs with Pillow's `GaussianBlur(radius=sigma)`; 0 leaves the image as it is.

    Args:
        planes: float32 tensor of shape `(3, H, W)`, in 0..255.
        sigma: float32. Standard deviation in pixels.
        max_sigma: float. The largest sigma that can occur; it sets the number of
            filter taps.

    Returns:
        float32 tensor of shape `(3, H, W)` with whole numbers in 0..255.
    """
    reach = math.floor((math.sqrt(4.0 * max_sigma**2 + 1.0) - 1.0) / 2.0) + 1

    def blur():
        weights = _box_weights(sigma, reach)
        x = tf.cast(tf.cast(planes, tf.int32), tf.uint32)
        x = tf.transpose(_box_passes(tf.transpose(x, (0, 2, 1)), weights), (0, 2, 1))
        return tf.cast(tf.cast(_box_passes(x, weights), tf.int32), tf.float32)

    return tf.cond(sigma > 0.0, blur, lambda: planes)
