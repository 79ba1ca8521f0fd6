"""Crops and resizing of uint8 images, as in Pillow and torchvision."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bt_keras.augmentation.ops import bands, resample
from bt_keras.augmentation.ops.packed_rgb import from_image, to_image
from bt_keras.errors import UsageError

# XLA compiles for each image size, so images of many sizes are padded to a few canvas
# sizes. This is the ratio of the sides of one canvas and the next smaller one.
GROWTH = 1.5


def _minimum(a, b):
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else tf.minimum(a, b)


def _sides(images):
    """Height and width of (N, H, W, C), as Python integers where static."""
    dynamic = tf.shape(images)
    return [dynamic[i] if images.shape[i] is None else images.shape[i] for i in (1, 2)]


def _vertical_first(boxes, height, width):
    """Whether Pillow resizes each box along the height first, bool (N,).

    The passes do not commute, because each rounds to whole levels. Pillow begins with
    the horizontal one; since version 13 it begins with the vertical one if that shrinks
    the height and the width is scaled by less than the mean of the height's scale and
    one.
    """
    _, _, box_height, box_width = tf.unstack(boxes, axis=1)
    narrow = 2 * box_width * height < (box_height + height) * width
    return (box_height > height) & narrow


def plan(
    boxes: tf.Tensor,
    vertical: Sequence,
    horizontal: Sequence,
    method: str,
    taps: int | tf.Tensor,
) -> dict:
    """Computes the arguments of `resize` for a batch of images.

    Args:
        boxes: int32 tensor of shape `(N, 4)`. Top, left, height and width.
        vertical: Outputs along the height, see `resample.plan`.
        horizontal: Outputs along the width.
        method: `"bilinear"` or `"bicubic"`.
        taps: Integer or scalar tensor. Maximal number of taps of a filter.

    Returns:
        Dict, nested, of tensors with leading dimension `N`.
    """
    top, left, box_height, box_width = tf.unstack(boxes, axis=1)
    from_top = tf.zeros_like(top)
    return {
        "rows": (top, box_height),
        "vertical_first": _vertical_first(boxes, vertical[2], horizontal[2]),
        "vertical": resample.plan(from_top, box_height, vertical, method, taps),
        "horizontal": resample.plan(left, box_width, horizontal, method, taps),
    }


def resize(
    packed: tf.Tensor,
    rows: Sequence,
    vertical_first: tf.Tensor,
    vertical: Sequence,
    horizontal: Sequence,
) -> tf.Tensor:
    """Resizes one packed image; see `plan` for the other arguments."""
    top, count = rows
    first, *weights = vertical

    def height_first():
        resized = resample.resize_height(packed, top + first, *weights)
        out_height = resized.shape[0]
        resized = resample.resize_width(resized, 0, out_height, *horizontal)
        return resized[:out_height]

    def width_first():
        resized = resample.resize_width(packed, top, count, *horizontal)
        return resample.resize_height(resized, first, *weights)

    return tf.cond(vertical_first, height_first, width_first)


def _most_taps(sides, totals, method, larger):
    pairs = zip(sides, totals, strict=True)
    return larger(*(resample.taps_for(*pair, method) for pair in pairs))


@tf.function(jit_compile=True, autograph=False)
def _resize_all(images, boxes, vertical, horizontal, method, taps):
    """Resizes one image after the other, so that each stays in the cache."""
    if taps is None:  # The maximum for this image size.
        outputs = vertical[1], horizontal[1]
        taps = _most_taps(_sides(images), outputs, method, tf.maximum)

    def resize_one(element):
        image, planned = element
        return tf.cast(to_image(resize(from_image(image), **planned)), tf.uint8)

    channels = images.shape[-1]
    planned = plan(boxes, vertical, horizontal, method, taps)
    resized = tf.map_fn(
        resize_one,
        (bands.split(images), bands.repeat(planned, channels)),
        fn_output_signature=tf.TensorSpec((vertical[1], horizontal[1], 3), tf.uint8),
    )
    return bands.merge(resized, channels)


def _canvas_sides(lengths, smallest):
    """Height and width of the canvas for an image, most often a square."""
    longest = tf.reduce_max(lengths)
    lengths = tf.where(2 * lengths > longest, longest, lengths)
    growth = [GROWTH**step for step in range(28)]
    sides = tf.cast(max(smallest) * tf.constant(growth), tf.int32)
    fits = sides >= lengths[:, None]
    return tf.reduce_min(tf.where(fits, sides, sides[-1]), axis=1)


def _pad_to_canvas(images, shape, height, width):
    """Pads images with zeros at the bottom and on the right."""
    # Concatenating rows of bytes is several times as fast as tf.pad.
    count, pixel = shape[0], images.shape[-1]
    images = tf.reshape(images, (count * shape[1], pixel * shape[2]))
    right = tf.zeros((count * shape[1], pixel * (width - shape[2])), tf.uint8)
    images = tf.concat([images, right], axis=1)
    images = tf.reshape(images, (count, pixel * width * shape[1]))
    below = tf.zeros((count, pixel * width * (height - shape[1])), tf.uint8)
    images = tf.concat([images, below], axis=1)
    return tf.reshape(images, (count, height, width, pixel))


def _resize_any(images, boxes, vertical, horizontal, method):
    """Resizes images whose sizes vary or are unknown when tracing."""
    if images.shape[0] == 1:  # Pixels outside the only box are not needed.
        top, left, height, width = tf.unstack(boxes[0])
        images = images[:, top : top + height, left : left + width]
        boxes = tf.stack([[0, 0, height, width]])
    shape = tf.shape(images)
    sides = _canvas_sides(shape[1:3], (vertical[1], horizontal[1]))
    images = _pad_to_canvas(images, shape, *tf.unstack(sides))
    return _resize_all(images, boxes, vertical, horizontal, method, None)


def _resize(images, boxes, vertical, horizontal, method):
    """Converts boxes (N, 4) of images to the (offset, count, total) of each axis."""
    height, width = images.shape[1:3]
    if images.shape[0] == 1 or height is None or width is None:
        return _resize_any(images, boxes, vertical, horizontal, method)
    taps = _most_taps((height, width), (vertical[2], horizontal[2]), method, max)
    return _resize_all(images, boxes, vertical, horizontal, method, taps)


def crop_and_resize(
    images: tf.Tensor,
    boxes: tf.Tensor,
    size: int | tuple[int, int],
    method: str = "bicubic",
) -> tf.Tensor:
    """Crops a box from every image and resizes it with antialiasing.

    The result equals Pillow's `image.crop(box).resize(size, method)`: when shrinking,
    the filter is widened by the scale, ignores pixels outside the box, its weights sum
    to one, and the first pass is rounded to 8 bits before the second. The order of the
    passes is that of Pillow 13; older versions always begin with the horizontal one.

    Args:
        images: uint8 tensor of shape `(N, H, W, C)`. If `N = 1`, or if `H` and `W` are
            unknown when tracing, the sizes may change from call to call at little
            cost, because only a few sizes are compiled.
        boxes: Integer tensor of shape `(N, 4)`. Top, left, height and width in pixels,
            inside the image.
        size: Integer or (height, width). Size of the output in pixels.
        method: `"bicubic"` (Keys' kernel, a = -1/2) or `"bilinear"`. Defaults to
            `"bicubic"`.

    Returns:
        uint8 tensor of shape `(N, height, width, C)`.

    Example:

    >>> from bt_keras.augmentation import ops
    >>> images = tf.zeros((1, 40, 50, 3), tf.uint8)
    >>> ops.crop_and_resize(images, [[0, 0, 20, 30]], 32).shape
    TensorShape([1, 32, 32, 3])
    """
    height, width = (size, size) if isinstance(size, int) else size
    images, boxes = tf.convert_to_tensor(images), tf.cast(boxes, tf.int32)
    return _resize(images, boxes, (0, height, height), (0, width, width), method)


def center_crop_axis(
    length: int | tf.Tensor, short: int | tf.Tensor, resize: int, size: int
) -> tuple:
    """Computes where the center crop of a resized image begins along one axis.

    Args:
        length: Integer or integer tensor. Side of the image in pixels.
        short: Integer or integer tensor. Shorter side of the image in pixels.
        resize: Integer. Length of the shorter side after resizing.
        size: Integer, at most `resize`. Side of the center crop.

    Returns:
        `(offset, size, total)`; `total` is the length of the side after resizing.
    """
    total = resize * length // short
    margin = total - size
    # torchvision rounds half a pixel to the nearest even number, as Python does.
    return margin // 2 + (margin % 2) * (margin // 2 % 2), size, total


def resize_and_center_crop(images: tf.Tensor, resize: int, size: int) -> tf.Tensor:
    """Applies torchvision's Resize (bilinear, antialiased) and CenterCrop.

    Args:
        images: uint8 tensor of shape `(N, H, W, C)`. `H` and `W` may be unknown when
            tracing.
        resize: Integer. Length of the shorter side after resizing.
        size: Integer, at most `resize`. Side of the square center crop.

    Returns:
        uint8 tensor of shape `(N, size, size, C)`.

    Raises:
        UsageError: If `size` exceeds `resize`.
    """
    if size > resize:
        raise UsageError(
            f"The center crop ({size}) is larger than the resized image's shorter "
            f"side ({resize}): raise resize or lower size."
        )
    images = tf.convert_to_tensor(images)
    height, width = _sides(images)
    short = _minimum(height, width)
    vertical = center_crop_axis(height, short, resize, size)
    horizontal = center_crop_axis(width, short, resize, size)
    boxes = tf.tile([[0, 0, height, width]], (tf.shape(images)[0], 1))
    return _resize(images, boxes, vertical, horizontal, "bilinear")
