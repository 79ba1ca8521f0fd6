"""Antialiased resizing of one image in Pillow's fixed-point arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bt_keras.augmentation.ops.packed_rgb import channels, from_channels

# Pillow's weights are multiples of 2^-22; weighted sums of levels fit into an int32.
PRECISION = 22
HALF = 1 << (PRECISION - 1)
# Number of rows whose width is resized at once, so that they fit into the L1 cache.
ROWS = 32
# Filters of at most this many taps are unrolled, wider ones are a loop over groups.
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
    """Normalizes weights and rounds them to multiples of 2^-22, halves away from 0."""
    weights = weights / tf.reduce_sum(weights, axis=-1, keepdims=True)
    weights = weights * float(1 << PRECISION)
    return tf.cast(tf.where(weights < 0.0, weights - 0.5, weights + 0.5), tf.int32)


def taps_for(
    length: int | tf.Tensor, total: int | tf.Tensor, method: str
) -> int | tf.Tensor:
    """Returns the maximal number of taps of a filter from `length` to `total` pixels.

    The result is an integer if both arguments are, otherwise a scalar tensor.
    """
    # Maximal number of pixels in an open interval of the filter's width.
    width = 2 * FILTERS[method][1]
    if isinstance(length, int) and isinstance(total, int):
        return -(-width * max(length, total) // total)
    return -(-width * tf.maximum(length, total) // total)


def _groups_of(taps):
    """Returns the number of groups and the number of taps in each."""
    if isinstance(taps, int) and taps <= UNROLLED:
        return 1, taps
    return -(-taps // GROUP), GROUP


def plan(
    start: tf.Tensor,
    length: tf.Tensor,
    outputs: Sequence,
    method: str,
    taps: int | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes first tap and weights of every output along one axis, for a batch.

    Output i of a crop has its center at (i + 1/2) length / total, and pixel k has the
    weight kernel((k + 1/2 - center) / max(1, length / total)).

    Args:
        start: int32 tensor of shape `(N,)`. Begin of each image's crop in pixels.
        length: int32 tensor of shape `(N,)`. Length of the crop in pixels.
        outputs: Tuple (offset, count, total). The crop is resized to `total` pixels, of
            which `count`, an integer, are computed, beginning at `offset`.
        method: `"bilinear"` or `"bicubic"`.
        taps: Integer or scalar tensor. Maximal number of taps; see `taps_for`.

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
    # The first pixel closer to the center than the filter's support.
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


def _to_packed(totals):
    """Round, clip and pack sums of levels with fixed-point weights."""
    levels = (tf.bitwise.right_shift(total, PRECISION) for total in totals)
    return from_channels(*(tf.clip_by_value(level, 0, 255) for level in levels))


def _gather_clamped(packed, indices, axis=0):
    """Gathers rows or columns; indices beyond the end give the last one."""
    last = tf.shape(packed)[axis] - 1
    return tf.gather(packed, tf.minimum(indices, last), axis=axis)


def _sum_taps(packed, first, weights, axis):
    """Resizes axis 0 or 1 of a packed image with filters of one group of taps."""
    totals = [tf.constant(HALF, tf.int32)] * 3
    for tap in range(weights.shape[-1]):
        # Pixels beyond the end of the crop have the weight 0.
        levels = channels(_gather_clamped(packed, first + tap, axis))
        weight = tf.expand_dims(weights[0, :, tap], 1 - axis)
        totals = [t + weight * x for t, x in zip(totals, levels, strict=True)]
    return _to_packed(totals)


def _sum_groups(packed, first, weights, used):
    """Resizes axis 0 of a packed image with filters of any number of groups."""
    _, count, taps = weights.shape
    shifts = tf.constant([0, 8, 16])[:, None, None]

    def add_group(group, totals):
        for tap in range(taps):
            pixels = _gather_clamped(packed, first + group * taps + tap)
            levels = tf.bitwise.right_shift(pixels, shifts) & 255
            totals += weights[group, :, tap][:, None] * levels
        return group + 1, totals

    start = tf.fill((3, count, tf.shape(packed)[1]), HALF)
    _, totals = tf.while_loop(lambda group, _: group < used, add_group, (0, start))
    return _to_packed(tf.unstack(totals))


def resize_height(
    packed: tf.Tensor, first: tf.Tensor, weights: tf.Tensor, used: tf.Tensor
) -> tf.Tensor:
    """Resizes a packed image along its height; see `plan` for the other arguments."""
    if weights.shape[0] == 1:
        return _sum_taps(packed, first, weights, axis=0)
    return _sum_groups(packed, first, weights, used)


def resize_width(
    packed: tf.Tensor,
    top: tf.Tensor,
    count: tf.Tensor,
    first: tf.Tensor,
    weights: tf.Tensor,
    used: tf.Tensor,
) -> tf.Tensor:
    """Resizes `count` rows of a packed image, beginning at `top`, along their width.

    The result has the height of `packed`, rounded up to whole blocks; rows after those
    that are resized are unspecified. See `plan` for the other arguments.
    """
    height, out_width = packed.shape[0], weights.shape[1]
    rows = ROWS if height is None else min(ROWS, height)
    blocks = -(-tf.shape(packed)[0] // rows)

    def resize_block(block, done):
        # A slice could not reach beyond the end, as the last block may.
        block_rows = _gather_clamped(packed, top + block * rows + tf.range(rows))
        if weights.shape[0] == 1:
            block_rows = _sum_taps(block_rows, first, weights, axis=1)
        else:
            block_rows = _sum_groups(tf.transpose(block_rows), first, weights, used)
            block_rows = tf.transpose(block_rows)
        return block + 1, done.write(block, block_rows)

    done = tf.TensorArray(tf.int32, blocks, element_shape=(rows, out_width))
    _, done = tf.while_loop(
        lambda block, _: block * rows < count, resize_block, (0, done)
    )
    return tf.reshape(done.stack(), (blocks * rows, out_width))
