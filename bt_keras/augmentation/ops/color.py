"""Colour operations with torchvision's factors and Pillow's 8-bit arithmetic.

Every function takes one image as words (H, W), see `ops.words`, and scalar parameters,
and returns words. `bt_keras.augmentation.ops` has the same functions for batches.
"""

import tensorflow as tf

from bt_keras.augmentation.ops.hsv import adjust_hue
from bt_keras.augmentation.ops.packed_rgb import channels, from_channels

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _luma(words):
    """ITU-R 601-2 luma in Pillow's fixed point, int32."""
    red, green, blue = channels(words)
    total = 19595 * red + 38470 * green + 7471 * blue + 32768
    return tf.bitwise.right_shift(total, 16)


def _blend(base, words, factor):
    """base + factor (x - base), clipped and truncated to a level."""

    def blend(level):
        # Pillow rounds the product before the sum. The bound, which never binds, keeps
        # the compiler from contracting the two, which would truncate some levels lower.
        product = tf.maximum(factor * (level - base), tf.float32.min)
        return tf.clip_by_value(base + product, 0.0, 255.0)

    # The conversion to whole numbers truncates.
    return from_channels(*(blend(level) for level in channels(words, tf.float32)))


def adjust_brightness(words, brightness):
    """Scales every level: 0 is black, 1 the image itself."""
    return _blend(0.0, words, brightness)


def adjust_contrast(words, contrast):
    """Moves levels away from (factor > 1) or towards the image's mean luma."""
    count = tf.size(words)
    mean = (tf.reduce_sum(_luma(words)) + count // 2) // count
    return _blend(tf.cast(mean, tf.float32), words, contrast)


def adjust_saturation(words, saturation):
    """Moves colours away from (factor > 1) or towards their own luma."""
    return _blend(tf.cast(_luma(words), tf.float32), words, saturation)


def color_jitter(words, brightness, contrast, saturation, hue, order, apply):
    """torchvision's ColorJitter with given factors and a given order.

    Args:
        words: int32 tensor of shape `(H, W)`.
        brightness: float32. Factor, 1 for no change.
        contrast: float32. Factor, 1 for no change.
        saturation: float32. Factor, 1 for no change.
        hue: float32, in [-0.5, 0.5]. Shift as a fraction of the colour circle.
        order: int32 of shape `(4,)`. A permutation of 0 (brightness), 1 (contrast),
            2 (saturation) and 3 (hue), first to last.
        apply: bool. If false the image stays exactly as it is.

    Returns:
        int32 tensor of shape `(H, W)`.
    """

    def jitter():
        def step(place, x):
            x = tf.switch_case(
                order[place],
                [
                    lambda: adjust_brightness(x, brightness),
                    lambda: adjust_contrast(x, contrast),
                    lambda: adjust_saturation(x, saturation),
                    lambda: adjust_hue(x, hue),
                ],
            )
            return place + 1, x

        return tf.while_loop(lambda place, _: place < 4, step, (0, words))[1]

    return tf.cond(apply, jitter, lambda: words)


def grayscale(words, mask):
    """Gives an image its luma in all three channels, if `mask`."""
    return tf.cond(mask, lambda: 0x010101 * _luma(words), lambda: words)


def solarize(words, mask, *, threshold=128):
    """Inverts levels from `threshold` on, if `mask`."""

    def invert():
        levels = channels(words)
        inverted = (tf.where(x >= int(threshold), 255 - x, x) for x in levels)
        return from_channels(*inverted)

    return tf.cond(mask, invert, lambda: words)


def normalize(images):
    """Levels 0..255 (..., 3) to zero mean and unit variance over ImageNet."""
    return normalize_unit(tf.cast(images, tf.float32) / 255.0)


def normalize_unit(images):
    """As `normalize`, of float32 images in [0, 1]."""
    return (images - tf.constant(IMAGENET_MEAN)) / tf.constant(IMAGENET_STD)
