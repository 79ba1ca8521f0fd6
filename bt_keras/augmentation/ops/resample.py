"""Antialiased resampling of one axis in Pillow's fixed-point arithmetic."""

import tensorflow as tf

# A resampling matrix is banded: this many rows of it at a time need only the few
# inputs under their filters, several times less work than the whole matrix.
BLOCK = 8

# Pillow keeps weights as multiples of 2^-22. Times 8-bit levels their sums do not fit
# float32, but those of their upper and of their lower halves do, without rounding.
PRECISION = float(1 << 22)
COARSE = float(1 << 11)


def _triangle(x):
    return tf.maximum(1.0 - tf.abs(x), 0.0)


def _keys_cubic(x):
    """Keys' cubic convolution kernel with a = -1/2."""
    x = tf.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return tf.where(x < 1.0, near, tf.where(x < 2.0, far, 0.0))


FILTERS = {"bilinear": (_triangle, 1), "bicubic": (_keys_cubic, 2)}


def _larger(a, b):
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else tf.maximum(a, b)


def _smaller(a, b):
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else tf.minimum(a, b)


def _fixed_point_weights(kernel, pixel, output, length, total):
    """Weight of each crop pixel in each output, a whole number of 2^-22, as float64.

    Output i has its centre at (i + 1/2) length / total, and pixel k counts with
    kernel((k + 1/2 - centre) / max(1, length / total)), normalised to sum to one.
    """
    distance = (2 * pixel + 1) * total - (2 * output + 1) * length
    scale = tf.cast(2 * tf.maximum(length, total), tf.float64)
    weights = kernel(tf.cast(distance, tf.float64) / scale)
    weights = tf.where((pixel >= 0) & (pixel < length), weights, 0.0)
    # Beyond the last output, where a block is not full, there may be no pixel at all.
    norm = tf.maximum(tf.reduce_sum(weights, axis=-1, keepdims=True), 0.125)
    weights = weights / norm * PRECISION
    return tf.where(weights < 0.0, tf.math.ceil(weights - 0.5), tf.floor(weights + 0.5))


def _halves(weights):
    """Fixed-point weights as an upper and a lower part, float32, of levels."""
    upper = tf.round(weights * (COARSE / PRECISION))
    lower = weights - upper * (PRECISION / COARSE)
    return tf.cast(upper, tf.float32) / COARSE, tf.cast(lower, tf.float32) / PRECISION


def _to_levels(upper, lower):
    """round(upper + lower), half up, clipped to 0..255, with exact steps only."""
    upper = upper + 0.5
    level = tf.floor(upper)
    return tf.clip_by_value(level + tf.floor(upper - level + lower), 0.0, 255.0)


def plan(start, length, in_size, outputs, method):
    """What `resample` needs to know about one axis of every image of a batch.

    Args:
        start: int32 tensor of shape `(N,)`. Where each image's crop begins.
        length: int32 tensor of shape `(N,)`. How long it is.
        in_size: int or scalar tensor. The length of the axis.
        outputs: `(offset, count, total)`. The crop is resized to `total` pixels, and
            `count` of them, an int, from `offset` on are computed.
        method: `"bilinear"` or `"bicubic"`.

    Returns:
        `(first, weights)`: for every block of outputs the first input pixel, int32 of
        shape `(N, blocks)`, and the upper and then the lower halves of the weights,
        float32 of shape `(N, blocks, 2 * rows, window)`.
    """
    offset, count, total = outputs
    kernel, support = FILTERS[method]
    # The inputs of a block, if the crop were as long as it can be.
    window = -(-(BLOCK + 2 * support) * _larger(in_size, total) // total) + 2
    small = isinstance(in_size, int) and in_size <= window
    block, window = (count, in_size) if small else (BLOCK, _smaller(window, in_size))
    blocks = -(-count // block)
    output = offset + tf.reshape(tf.range(blocks * block), (blocks, block, 1))
    start, length = start[:, None], length[:, None]
    # Where the first filter of each block begins, times 2 total.
    left = (2 * output[:, 0, 0] + 1) * length - 2 * support * tf.maximum(length, total)
    first = tf.clip_by_value(start + left // (2 * total), 0, in_size - window)
    pixel = (first - start)[:, :, None, None] + tf.range(window)
    length = length[:, :, None, None]
    weights = _fixed_point_weights(kernel, pixel, output, length, total)
    return first, tf.concat(_halves(weights), axis=2)


def resample(rows, first, weights):
    """Resizes axis 0 of one image from a crop, as Pillow's 8-bit resize does.

    Args:
        rows: float32 tensor of shape `(in_size, depth)`, whole numbers in 0..255.
        first: int32 tensor of shape `(blocks,)`, from `plan`.
        weights: float32 tensor of shape `(blocks, 2 * block, window)`, from `plan`.

    Returns:
        float32 tensor of shape `(blocks * block, depth)`, whole numbers in 0..255, of
        which the first `count` are wanted.
    """

    def resample_block(block):
        first, weights = block
        # A slice, but XLA would compile that anew for every value of `first`.
        inputs = tf.gather(rows, first + tf.range(tf.shape(weights)[1]))
        return _to_levels(*tf.split(tf.matmul(weights, inputs), 2))

    if weights.shape[0] == 1 and weights.shape[2] == rows.shape[0] is not None:
        return _to_levels(*tf.split(tf.matmul(weights[0], rows), 2))
    levels = tf.map_fn(resample_block, (first, weights), fn_output_signature=tf.float32)
    return tf.reshape(levels, (weights.shape[0] * weights.shape[1] // 2, -1))
