"""Crops, resizing and flips of uint8 images, equal to Pillow's and torchvision's."""

import tensorflow as tf

from bt_keras.augmentation.ops.resample import plan, resample
from bt_keras.errors import UsageError


def _smaller(a, b):
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else tf.minimum(a, b)


def _sides(images):
    """Height and width of (N, H, W, 3), as Python integers where they are known."""
    dynamic = tf.shape(images)
    return [dynamic[i] if images.shape[i] is None else images.shape[i] for i in (1, 2)]


def _vertical_first(boxes, height, width):
    """Which boxes Pillow resizes along the height first, bool (N,).

    The passes do not commute, since each rounds to levels. Pillow makes the horizontal
    one first; since version 13 the vertical one, where it shrinks the height and the
    width is scaled by less than the mean of the height's scale and one.
    """
    _, _, box_height, box_width = tf.unstack(boxes, axis=1)
    narrow = 2 * box_width * height < (box_height + height) * width
    return (box_height > height) & narrow


def _plan(images, boxes, vertical, horizontal, method):
    """The order of the passes and the weights of both, for every image."""
    height, width = _sides(images)
    top, left, box_height, box_width = tf.unstack(boxes, axis=1)
    return (
        _vertical_first(boxes, vertical[2], horizontal[2]),
        plan(top, box_height, height, vertical, method),
        plan(left, box_width, width, horizontal, method),
    )


def _resize(image, plans, out_height, out_width):
    """Resizes one image (H, W, 3) by the plans of its axes."""
    vertical_first, vertical, horizontal = plans
    height, width = _sides(image[None])

    def resize_height(x, depth):
        x = resample(tf.reshape(x, (height, 3 * depth)), *vertical)
        return tf.reshape(x[:out_height], (out_height, depth, 3))

    def resize_width(x, depth):
        x = tf.reshape(tf.transpose(x, (1, 0, 2)), (width, 3 * depth))
        x = resample(x, *horizontal)[:out_width]
        return tf.transpose(tf.reshape(x, (out_width, depth, 3)), (1, 0, 2))

    x = tf.cast(image, tf.float32)
    x = tf.cond(
        vertical_first,
        lambda: resize_width(resize_height(x, width), out_height),
        lambda: resize_height(resize_width(x, height), out_width),
    )
    return tf.cast(x, tf.uint8)


def _resize_all(images, boxes, vertical, horizontal, method):
    plans = _plan(images, boxes, vertical, horizontal, method)
    return tf.map_fn(
        lambda pair: _resize(*pair, vertical[1], horizontal[1]),
        (images, plans),
        fn_output_signature=tf.TensorSpec((vertical[1], horizontal[1], 3), tf.uint8),
    )


# A compiled loop, whose body stays in the processor's cache.
_resize_all_compiled = tf.function(_resize_all, jit_compile=True)


def crop_and_resize(images, boxes, size, method="bicubic"):
    """Cuts a box out of every image and resizes it with antialiasing, as Pillow.

    Equals `image.crop(box).resize(size, method)` of Pillow: the filter is stretched
    by the scale when shrinking, sees nothing outside the box, its weights sum to one,
    and the first pass is rounded to 8 bits before the second. The order of the passes
    is that of Pillow 13; older versions always made the horizontal one first.

    Args:
        images: uint8 tensor of shape `(N, H, W, 3)`. With `N = 1`, `H` and `W` need
            not be known when tracing, and may differ from call to call without cost.
        boxes: int tensor of shape `(N, 4)`. Top, left, height and width in pixels,
            inside the image.
        size: int or `(height, width)`. The size of the output.
        method: `"bicubic"` (Keys' kernel, a = -1/2) or `"bilinear"`.

    Returns:
        uint8 tensor of shape `(N, height, width, 3)`.

    Example:

    >>> images = tf.zeros((1, 40, 50, 3), tf.uint8)
    >>> crop_and_resize(images, [[0, 0, 20, 30]], 32).shape
    TensorShape([1, 32, 32, 3])
    """
    height, width = (size, size) if isinstance(size, int) else size
    sides = (0, height, height), (0, width, width)
    images, boxes = tf.convert_to_tensor(images), tf.cast(boxes, tf.int32)
    if images.shape[0] != 1:
        return _resize_all_compiled(images, boxes, *sides, method)
    # What lies outside the only box needs no work, and the shape of what is left
    # varies too much to compile for.
    top, left, height, width = tf.unstack(boxes[0])
    images = images[:, top : top + height, left : left + width]
    return _resize_all(images, tf.stack([[0, 0, height, width]]), *sides, method)


def _central(length, short, resize, size):
    """`(offset, count, total)` of a side that is resized and cut to its middle."""
    total = resize * length // short
    margin = total - size
    # Python, and so torchvision, rounds half a pixel to the even neighbour.
    return margin // 2 + (margin % 2) * (margin // 2 % 2), size, total


def resize_and_center_crop(images, resize, size):
    """torchvision's Resize (bilinear, antialiased) and CenterCrop, for evaluation.

    Args:
        images: uint8 tensor of shape `(N, H, W, 3)`. `H` and `W` need not be known
            when tracing.
        resize: int. The length that the shorter side is brought to.
        size: int. The side of the central square that is kept, at most `resize`.

    Returns:
        uint8 tensor of shape `(N, size, size, 3)`.

    Raises:
        UsageError: If `size` exceeds `resize`.
    """
    if size > resize:
        raise UsageError(
            f"The central crop ({size}) is larger than the resized image's shorter "
            f"side ({resize}): raise resize or lower size."
        )
    images = tf.convert_to_tensor(images)
    height, width = _sides(images)
    short = _smaller(height, width)
    vertical = _central(height, short, resize, size)
    horizontal = _central(width, short, resize, size)
    boxes = tf.tile([[0, 0, height, width]], (tf.shape(images)[0], 1))
    return _resize_all(images, boxes, vertical, horizontal, "bilinear")


def flip(planes, mask):
    """Mirrors the planes (3, H, W) of an image left and right, if `mask`."""
    return tf.cond(mask, lambda: planes[:, :, ::-1], lambda: planes)
