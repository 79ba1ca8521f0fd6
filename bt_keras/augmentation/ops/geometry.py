"""Crops, resizing and flips of uint8 images, equal to Pillow's and torchvision's."""

import tensorflow as tf

from bt_keras.augmentation.ops import resample
from bt_keras.augmentation.ops.packed_rgb import from_image, to_image
from bt_keras.errors import UsageError

# Images of many sizes are laid on canvases of a few, each of which is compiled for.
# This factor lies between the side of one and that of the next.
GROWTH = 1.5


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


def plan(boxes, vertical, horizontal, method, taps):
    """What `resize` needs to know about every image of a batch.

    Args:
        boxes: int32 tensor of shape `(N, 4)`. Top, left, height and width.
        vertical: the outputs along the height, see `resample.plan`.
        horizontal: the outputs along the width.
        method: `"bilinear"` or `"bicubic"`.
        taps: int or scalar tensor. The most that a filter may have.
    """
    top, left, box_height, box_width = tf.unstack(boxes, axis=1)
    from_top = tf.zeros_like(top)
    return {
        "rows": (top, box_height),
        "vertical_first": _vertical_first(boxes, vertical[2], horizontal[2]),
        "vertical": resample.plan(from_top, box_height, vertical, method, taps),
        "horizontal": resample.plan(left, box_width, horizontal, method, taps),
    }


def resize(words, rows, vertical_first, vertical, horizontal):
    """Resizes the words (H, W) of one image by its plan."""
    top, count = rows
    first, *weights = vertical

    def height_first():
        resized = resample.resize_height(words, top + first, *weights)
        out_height = resized.shape[0]
        resized = resample.resize_width(resized, 0, out_height, *horizontal)
        return resized[:out_height]

    def width_first():
        resized = resample.resize_width(words, top, count, *horizontal)
        return resample.resize_height(resized, first, *weights)

    return tf.cond(vertical_first, height_first, width_first)


def _most_taps(sides, totals, method, larger):
    pairs = zip(sides, totals, strict=True)
    return larger(*(resample.taps_for(*pair, method) for pair in pairs))


@tf.function(jit_compile=True, autograph=False)
def _resize_all(images, boxes, vertical, horizontal, method, taps):
    """A compiled loop over the images; they stay in the processor's cache."""
    if taps is None:  # As many as this size of image may need.
        outputs = vertical[1], horizontal[1]
        taps = _most_taps(_sides(images), outputs, method, tf.maximum)

    def resize_one(element):
        image, planned = element
        return tf.cast(to_image(resize(from_image(image), **planned)), tf.uint8)

    return tf.map_fn(
        resize_one,
        (images, plan(boxes, vertical, horizontal, method, taps)),
        fn_output_signature=tf.TensorSpec((vertical[1], horizontal[1], 3), tf.uint8),
    )


def _canvas_sides(lengths, smallest):
    """Height and width of the canvas for an image; one of few, square for most."""
    longest = tf.reduce_max(lengths)
    lengths = tf.where(2 * lengths > longest, longest, lengths)
    growth = [GROWTH**step for step in range(28)]
    sides = tf.cast(max(smallest) * tf.constant(growth), tf.int32)
    fits = sides >= lengths[:, None]
    return tf.reduce_min(tf.where(fits, sides, sides[-1]), axis=1)


def _lay_on_canvas(images, shape, height, width):
    """Fills up images with zeros below and on the right."""
    # As rows of bytes, which is several times as fast as tf.pad.
    count = shape[0]
    images = tf.reshape(images, (count * shape[1], 3 * shape[2]))
    right = tf.zeros((count * shape[1], 3 * (width - shape[2])), tf.uint8)
    images = tf.concat([images, right], axis=1)
    images = tf.reshape(images, (count, 3 * width * shape[1]))
    below = tf.zeros((count, 3 * width * (height - shape[1])), tf.uint8)
    images = tf.concat([images, below], axis=1)
    return tf.reshape(images, (count, height, width, 3))


def _resize_any(images, boxes, vertical, horizontal, method):
    """Resizes images whose sizes vary, or are not known when tracing."""
    if images.shape[0] == 1:  # What lies outside the only box needs no work.
        top, left, height, width = tf.unstack(boxes[0])
        images = images[:, top : top + height, left : left + width]
        boxes = tf.stack([[0, 0, height, width]])
    shape = tf.shape(images)
    sides = _canvas_sides(shape[1:3], (vertical[1], horizontal[1]))
    images = _lay_on_canvas(images, shape, *tf.unstack(sides))
    return _resize_all(images, boxes, vertical, horizontal, method, None)


def _resize(images, boxes, vertical, horizontal, method):
    """Resizes boxes (N, 4) of images, to `(offset, count, total)` of either axis."""
    height, width = images.shape[1:3]
    if images.shape[0] == 1 or height is None or width is None:
        return _resize_any(images, boxes, vertical, horizontal, method)
    taps = _most_taps((height, width), (vertical[2], horizontal[2]), method, max)
    return _resize_all(images, boxes, vertical, horizontal, method, taps)


def crop_and_resize(images, boxes, size, method="bicubic"):
    """Cuts a box out of every image and resizes it with antialiasing, as Pillow.

    Equals `image.crop(box).resize(size, method)` of Pillow: the filter is stretched
    by the scale when shrinking, sees nothing outside the box, its weights sum to one,
    and the first pass is rounded to 8 bits before the second. The order of the passes
    is that of Pillow 13; older versions always made the horizontal one first.

    Args:
        images: uint8 tensor of shape `(N, H, W, 3)`. With `N = 1`, or where `H` and
            `W` are not known when tracing, they may differ from call to call at
            little cost: only a few sizes are compiled for.
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
    images, boxes = tf.convert_to_tensor(images), tf.cast(boxes, tf.int32)
    return _resize(images, boxes, (0, height, height), (0, width, width), method)


def central(length, short, resize, size):
    """Where the middle of a resized side lies.

    Args:
        length: int or int Tensor, the side before, in pixels.
        short: int or int Tensor, the shorter of both sides before.
        resize: int, what the shorter side is brought to.
        size: int <= resize, how much of the side is kept.

    Returns:
        `(offset, size, total)`, the last the side's length after resizing.
    """
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
    vertical = central(height, short, resize, size)
    horizontal = central(width, short, resize, size)
    boxes = tf.tile([[0, 0, height, width]], (tf.shape(images)[0], 1))
    return _resize(images, boxes, vertical, horizontal, "bilinear")


def flip(images, mask):
    """Mirrors those images (N, H, W, 3) left and right that `mask` (N,) says."""
    images, mask = tf.cast(images, tf.float32), tf.convert_to_tensor(mask)
    return tf.where(mask[:, None, None, None], images[:, :, ::-1], images)


def flip_words(words, mask):
    """Mirrors the words (H, W) of an image left and right, if `mask`."""
    return tf.cond(mask, lambda: words[:, ::-1], lambda: words)
