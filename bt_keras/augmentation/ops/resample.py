"""Antialiased resizing of one image in Pillow's fixed-point arithmetic."""

import tensorflow as tf

from bt_keras.augmentation.ops.packed_rgb import channels, from_channels

# Pillow keeps weights as multiples of 2^-22; their sums with levels fit an int32.
PRECISION = 22
HALF = 1 << (PRECISION - 1)
# Rows whose width is resized at a time, so that they stay in the first cache.
ROWS = 32
# Filters of up to so many taps are summed in one go, wider ones in a loop of groups.
UNROLLED = 8
GROUP = 4


def _triangle(x):
    return tf.maximum(1.0 - tf.abs(x), 0.0)


def _keys_cubic(x):
    """Keys' cubic convolution kernel with a = -1/2."""
    x = tf.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < 2.0, far, 0.0))


FILTERS = {"bilinear": (_triangle, 1), "bicubic": (_keys_cubic, 2)}


def _fixed_point(weights):
    """Weights, normalised to sum to one, as multiples of 2^-22, halves away from 0."""
    weights = weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
    weights = weights * float(1 << PRECISION)
    return tf.cast(tf.where(weights < 0.0, weights - 0.5, weights + 0.5), tf.int32)


def taps_for(length, total, method):
    """Most taps of a filter that brings `length` pixels to `total`.

    Both are ints, or one of them is a scalar tensor, as then is the result.
    """
    # An open interval of the filter's width holds at most so many pixels.
    width = 2 * FILTERS[method][1]
    if isinstance(length, int) and isinstance(total, int):
        return -(-width * max(length, total) // total)
    return -(-width * tf.maximum(length, total) // total)


def _groups_of(taps):
    """How many groups of how many taps the taps of a filter are summed in."""
    if isinstance(taps, int) and taps <= UNROLLED:
        return 1, taps
    return -(-taps // GROUP), GROUP


def plan(start, length, outputs, method, taps):
    """First tap and weights of every output along one axis, for a batch of images.

    Output i of a crop has its centre at (i + 1/2) length / total, and pixel k counts
    with kernel((k + 1/2 - centre) / max(1, length / total)).

    Args:
        start: int32 tensor of shape `(N,)`. Where each image's crop begins.
        length: int32 tensor of shape `(N,)`. How long it is.
        outputs: `(offset, count, total)`. The crop is resized to `total` pixels, and
            `count` of them, an int, from `offset` on are computed.
        method: `"bilinear"` or `"bicubic"`.
        taps: int or scalar tensor. How many there may be; see `taps_for`.

    Returns:
        `(first, weights, used)`: int32 tensors of shape `(N, count)`, `(N, groups,
        count, taps)` and `(N,)`. Tap t of group g is pixel `first + g * taps + t`;
        only the first `used` groups have weights other than 0.
    """
    offset, count, total = outputs
    kernel, support = FILTERS[method]
    groups, taps = _groups_of(taps)
    output = offset + tf.range(count)
    # A long side times a long output does not fit into 32 bits.
    output, length, total = (tf.cast(x, tf.int64) for x in (output, length, total))
    length = length[:, None]
    wider = tf.maximum(length, total)
    # The first pixel whose distance from the centre is below the filter's support.
    left = (2 * output + 1) * length - 2 * support * wider
    first = tf.maximum((left + total) // (2 * total), 0)
    pixel = first[:, :, None] + tf.cast(tf.range(groups * taps), tf.int64)
    distance = (2 * pixel + 1) * total - ((2 * output + 1) * length)[:, :, None]
    distance = tf.cast(distance, tf.float64)
    weights = kernel(distance / tf.cast(2 * wider, tf.float64)[:, :, None])
    weights = _fixed_point(tf.where(pixel < length[:, :, None], weights, 0.0))
    weights = tf.reshape(weights, (-1, count, groups, taps))
    used = -(-2 * support * wider[:, 0] // (total * taps))
    first, used = tf.cast(first, tf.int32), tf.cast(used, tf.int32)
    return start[:, None] + first, tf.transpose(weights, (0, 2, 1, 3)), used


def _to_words(totals):
    """Sums of levels and fixed-point weights, rounded and clipped, as words."""
    levels = (tf.bitwise.right_shift(total, PRECISION) for total in totals)
    return from_channels(*(tf.clip_by_value(level, 0, 255) for level in levels))


def _taken(words, indices, axis=0):
    """Rows or columns by their numbers, the last one for those beyond the end."""
    last = tf.shape(words)[axis] - 1
    return tf.gather(words, tf.minimum(indices, last), axis=axis)


def _sum_taps(words, first, weights, axis):
    """Resizes an axis (0 or 1) of words by filters of one group of taps."""
    totals = [tf.constant(HALF, tf.int32)] * 3
    for tap in range(weights.shape[-1]):
        # Beyond the end of the crop, and so of the image, weights are 0.
        levels = channels(_taken(words, first + tap, axis))
        weight = tf.expand_dims(weights[0, :, tap], 1 - axis)
        totals = [t + weight * x for t, x in zip(totals, levels, strict=True)]
    return _to_words(totals)


def _sum_groups(words, first, weights, used):
    """Resizes axis 0 of words by filters of any width, several taps at a time."""
    _, count, taps = weights.shape
    shifts = tf.constant([0, 8, 16])[:, None, None]

    def add_group(group, totals):
        for tap in range(taps):
            pixels = _taken(words, first + group * taps + tap)
            levels = tf.bitwise.right_shift(pixels, shifts) & 255
            totals += weights[group, :, tap][:, None] * levels
        return group + 1, totals

    start = tf.fill((3, count, tf.shape(words)[1]), HALF)
    _, totals = tf.while_loop(lambda group, _: group < used, add_group, (0, start))
    return _to_words(tf.unstack(totals))


def resize_height(words, first, weights, used):
    """Resizes words (height, width) along the height."""
    if weights.shape[0] == 1:
        return _sum_taps(words, first, weights, axis=0)
    return _sum_groups(words, first, weights, used)


def resize_width(words, top, count, first, weights, used):
    """Resizes `count` rows of words from `top` on, and lets as many others be 0."""
    height, out_width = words.shape[0], weights.shape[1]
    rows = ROWS if height is None else min(ROWS, height)
    blocks = -(-tf.shape(words)[0] // rows)

    def resize_block(block, done):
        # Not a slice, since the last block may reach over the end.
        some = _taken(words, top + block * rows + tf.range(rows))
        if weights.shape[0] == 1:
            some = _sum_taps(some, first, weights, axis=1)
        else:
            some = _sum_groups(tf.transpose(some), first, weights, used)
            some = tf.transpose(some)
        return block + 1, done.write(block, some)

    done = tf.TensorArray(tf.int32, blocks, element_shape=(rows, out_width))
    _, done = tf.while_loop(
        lambda block, _: block * rows < count, resize_block, (0, done)
    )
    return tf.reshape(done.stack(), (blocks * rows, out_width))
