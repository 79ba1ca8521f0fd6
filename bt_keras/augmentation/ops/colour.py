"""Colour operations with torchvision's factors and Pillow's 8-bit arithmetic.

Every function takes one image as planes (3, H, W), whole numbers in 0..255 kept as
float32, and scalar parameters, and returns such planes. `bt_keras.augmentation.ops`
has the same functions for batches.
"""

import tensorflow as tf

from bt_keras.augmentation.ops.hsv import adjust_hue

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def _luma(planes):
    """ITU-R 601-2 luma in Pillow's fixed point; the sums stay below 2^24."""
    red, green, blue = tf.unstack(planes)
    total = 19595.0 * red + 38470.0 * green + 7471.0 * blue + 32768.0
    return tf.floor(total / 65536.0)


def _blend(base, planes, factor):
    """base + factor (x - base), clipped and truncated to a level."""
    # Pillow rounds the product before the sum. The bound, which never binds, keeps
    # the compiler from contracting the two, which would truncate some levels lower.
    product = tf.maximum(factor * (planes - base), tf.float32.min)
    return tf.floor(tf.clip_by_value(base + product, 0.0, 255.0))


def adjust_brightness(planes, brightness):
    """Scales every level: 0 is black, 1 the image itself."""
    return _blend(0.0, planes, brightness)


def adjust_contrast(planes, contrast):
    """Moves levels away from (factor > 1) or towards the image's mean luma."""
    luma = tf.cast(_luma(planes), tf.int32)
    count = tf.size(luma)
    mean = (tf.reduce_sum(luma) + count // 2) // count
    return _blend(tf.cast(mean, tf.float32), planes, contrast)


def adjust_saturation(planes, saturation):
    """Moves colours away from (factor > 1) or towards their own luma."""
    return _blend(_luma(planes), planes, saturation)


def color_jitter(planes, brightness, contrast, saturation, hue, order, apply):
    """torchvision's ColorJitter with given factors and a given order.

    Args:
        planes: float32 tensor of shape `(3, H, W)`, in 0..255.
        brightness: float32. Factor, 1 for no change.
        contrast: float32. Factor, 1 for no change.
        saturation: float32. Factor, 1 for no change.
        hue: float32, in [-0.5, 0.5]. Shift as a fraction of the colour circle.
        order: int32 of shape `(4,)`. A permutation of 0 (brightness), 1 (contrast),
            2 (saturation) and 3 (hue), first to last.
        apply: bool. If false the image stays exactly as it is.

    Returns:
        float32 tensor of shape `(3, H, W)`.
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

        return tf.while_loop(lambda place, _: place < 4, step, (0, planes))[1]

    return tf.cond(apply, jitter, lambda: planes)


def grayscale(planes, mask):
    """Gives an image its luma in all three channels, if `mask`."""
    return tf.where(mask, _luma(planes), planes)


def solarize(planes, mask, *, threshold=128):
    """Inverts levels from `threshold` on, if `mask`."""
    return tf.where(mask & (planes >= float(threshold)), 255.0 - planes, planes)


def normalize(planes):
    """Levels 0..255 to zero mean and unit variance over ImageNet, per channel."""
    mean = tf.constant(IMAGENET_MEAN)[:, None, None]
    return (planes / 255.0 - mean) / tf.constant(IMAGENET_STD)[:, None, None]
