"""Color operations with torchvision's factors and Pillow's 8-bit arithmetic.

Every function takes one packed image, int32 `(H, W)` (see `packed_rgb`), and scalar
parameters, and returns a packed image; or packed images `(N, H, W)` and parameters
`(N, 1, 1)`, see `map_images.map_at_once`. `bt_keras.augmentation.ops` has the same
functions for images that are not packed.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from bt_keras.augmentation.ops import choose
from bt_keras.augmentation.ops.hsv import adjust_hue
from bt_keras.augmentation.ops.packed_rgb import channels, from_channels
from bt_keras.augmentation.statistics import IMAGENET, Statistics


def _luma(packed):
    """ITU-R 601-2 luma in Pillow's fixed point, int32."""
    red, green, blue = channels(packed)
    total = 19595 * red + 38470 * green + 7471 * blue + 32768
    return tf.bitwise.right_shift(total, 16)


def _blend(bases, packed, factor):
    """base + factor (x - base) of each channel, clipped and truncated to a level."""

    def blend(base, level):
        # Pillow rounds the product before the sum. The bound has no effect except that
        # it stops XLA from contracting the two, which would make some levels lower.
        product = tf.maximum(factor * (level - base), tf.float32.min)
        return tf.clip_by_value(base + product, 0.0, 255.0)

    # The conversion to whole numbers truncates.
    return from_channels(*map(blend, bases, channels(packed, tf.float32)))


def _rounded_mean(levels):
    count = tf.reduce_prod(tf.shape(levels)[-2:])
    total = tf.reduce_sum(levels, axis=(-2, -1), keepdims=True)
    return tf.cast((total + count // 2) // count, tf.float32)


def adjust_brightness(packed: tf.Tensor, brightness: tf.Tensor) -> tf.Tensor:
    """Scales all levels: factor 0 gives black, 1 the unchanged image."""
    return _blend([0.0] * 3, packed, brightness)


def adjust_contrast(packed: tf.Tensor, contrast: tf.Tensor) -> tf.Tensor:
    """Scales the differences to the image's mean luma: factor 1 changes nothing."""
    return _blend([_rounded_mean(_luma(packed))] * 3, packed, contrast)


def adjust_band_contrast(packed: tf.Tensor, contrast: tf.Tensor) -> tf.Tensor:
    """Scales the differences to the mean of each band: factor 1 changes nothing."""
    return _blend(map(_rounded_mean, channels(packed)), packed, contrast)


def adjust_saturation(packed: tf.Tensor, saturation: tf.Tensor) -> tf.Tensor:
    """Scales the differences to each pixel's luma: factor 1 changes nothing."""
    return _blend([tf.cast(_luma(packed), tf.float32)] * 3, packed, saturation)


def color_jitter(
    packed: tf.Tensor,
    brightness: tf.Tensor,
    contrast: tf.Tensor,
    saturation: tf.Tensor,
    hue: tf.Tensor,
    order: tf.Tensor,
    apply: tf.Tensor,
    *,
    by_band: bool = False,
) -> tf.Tensor:
    """Applies torchvision's ColorJitter with given factors in a given order.

    Args:
        packed: int32 tensor of shape `(H, W)`.
        brightness: float32 scalar. Factor, 1 for no change.
        contrast: float32 scalar. Factor, 1 for no change.
        saturation: float32 scalar. Factor, 1 for no change.
        hue: float32 scalar in [-0.5, 0.5]. Shift as a fraction of the color circle.
        order: int32 tensor of shape `(4,)`. A permutation of 0 (brightness), 1
            (contrast), 2 (saturation) and 3 (hue), first to last.
        apply: Boolean scalar. If false, the image is returned unchanged.
        by_band: Boolean, whether the three bands are not RGB. The contrast is then that
            of each band, and saturation and hue do nothing. Defaults to `False`.

    Returns:
        int32 tensor of shape `(H, W)`.
    """

    adjustments = [
        lambda x: adjust_brightness(x, brightness),
        lambda x: (adjust_band_contrast if by_band else adjust_contrast)(x, contrast),
        lambda x: x if by_band else adjust_saturation(x, saturation),
        lambda x: x if by_band else adjust_hue(x, hue),
    ]

    def jitter():
        def step(position, x):
            branches = [functools.partial(adjust, x) for adjust in adjustments]
            return position + 1, choose.switch(order[position], branches)

        return tf.while_loop(lambda position, _: position < 4, step, (0, packed))[1]

    return choose.where(apply, jitter, packed)


def grayscale(packed: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Replaces all three channels by the luma if `mask` is true."""
    return choose.where(mask, lambda: 0x010101 * _luma(packed), packed)


def solarize(packed: tf.Tensor, mask: tf.Tensor, *, threshold: int = 128) -> tf.Tensor:
    """Inverts all levels at or above `threshold` if `mask` is true."""

    def invert():
        levels = channels(packed)
        inverted = (tf.where(x >= int(threshold), 255 - x, x) for x in levels)
        return from_channels(*inverted)

    return choose.where(mask, invert, packed)


def normalize(images: tf.Tensor, statistics: Statistics = IMAGENET) -> tf.Tensor:
    """Subtracts the mean of each band and divides by its standard deviation.

    Args:
        images: Tensor of shape `(..., C)` with levels 0..255.
        statistics: `Statistics` of C bands. Defaults to those of ImageNet.

    Returns:
        float32 tensor of the same shape.
    """
    return normalize_unit(tf.cast(images, tf.float32) / 255.0, statistics)


def normalize_unit(images: tf.Tensor, statistics: Statistics = IMAGENET) -> tf.Tensor:
    """Same as `normalize`, for float32 images in [0, 1]."""
    mean, deviation = map(tf.constant, statistics)
    return (images - mean) / deviation
