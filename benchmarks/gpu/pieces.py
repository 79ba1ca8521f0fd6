"""Parts of the step alone: the loss, and the max pooling of ResNet-50's stem."""

import tensorflow as tf

import bt_keras
from benchmarks.gpu import cases
from benchmarks.gpu.side import repeat


def losses(side):
    for compiled in (True, False):
        for name, shape in cases.losses(cases.LOSSES, side.quick):
            name += " (without XLA)" * (not compiled)
            z = [tf.random.normal(shape) for _ in range(2)]
            side.attempt(
                name, _measure, side, name, bt_keras.barlow_twins_loss, z, compiled
            )


def pooling(side):
    """Compares TensorFlow's max pooling with one by comparisons.

    XLA computes the gradient of TensorFlow's with a scatter, which writes an index of
    16 bytes for every output and adds in any order.
    """
    shape = (4, 16, 16, 8) if side.quick else (512, 112, 112, 64)
    images = tf.cast(tf.nn.relu(tf.random.normal(shape)), tf.bfloat16)
    weights = tf.cast(tf.random.normal(tf.shape(max_pool(images))), tf.bfloat16)
    for name, pool, compiled in (
        ("max pooling", _tensorflows, True),
        ("max pooling (without XLA)", _tensorflows, False),
        ("max pooling by comparisons", max_pool, True),
    ):
        # Weighted, so that no gradient is a constant.
        total = _weighted(pool)
        side.attempt(name, _measure, side, name, total, [images, weights], compiled)


def _measure(side, name, function, inputs, compiled):
    """Measures a function from tensors to a scalar, with its gradients."""

    @tf.function(jit_compile=compiled, autograph=False)
    def one_step():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = function(*inputs)
        return tape.gradient(value, inputs)

    run = repeat(one_step)
    run(3)
    side.row(name, side.time(run, 10))


def _weighted(pool):
    return lambda x, weights: tf.reduce_sum(tf.cast(pool(x) * weights, tf.float32))


def _tensorflows(x):
    """Pools as `bt_keras.resnet` does."""
    x = tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


@tf.custom_gradient
def max_pool(x):
    """Computes max pooling over 3x3 pixels with stride 2, without a scatter.

    Args:
        x: Float tensor (N, H, W, C) >= 0, with even H and W.

    Returns:
        Tensor (N, H/2, W/2, C).
    """
    height, width = x.shape[1] // 2, x.shape[2] // 2
    padded = tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = winner = None
    for place in range(9):
        i, j = divmod(place, 3)
        rows = slice(i, i + 2 * height - 1, 2)
        columns = slice(j, j + 2 * width - 1, 2)
        candidate = padded[:, rows, columns]
        if y is None:
            y, winner = candidate, tf.zeros_like(candidate, tf.int8)
        else:
            larger = candidate > y
            y = tf.where(larger, candidate, y)
            winner = tf.where(larger, tf.constant(place, tf.int8), winner)

    def grad(dy):
        phases = [_phase(dy, winner, rows, columns) for rows, columns in _PHASES]
        shape = tf.shape(phases[0])
        pairs = [tf.stack(phases[i : i + 2], axis=3) for i in (0, 2)]
        dx = tf.stack(pairs, axis=2)  # (N, H/2 + 1, 2, W/2 + 1, 2, C)
        dx = tf.reshape(dx, [shape[0], 2 * height + 2, 2 * width + 2, shape[-1]])
        return tf.ensure_shape(dx[:, 1:-1, 1:-1], x.shape)

    return y, grad


# Rows and columns of the window that meet even pixels, and those that meet odd ones.
_PHASES = [(rows, columns) for rows in ((0, 2), (1,)) for columns in ((0, 2), (1,))]


def _phase(dy, winner, rows, columns):
    """Sums the gradients of every other row and column of pixels."""
    total = 0.0
    for i in rows:
        for j in columns:
            won = tf.where(winner == 3 * i + j, dy, tf.zeros_like(dy))
            margins = [(0, 0), *((k // 2, 1 - k // 2) for k in (i, j)), (0, 0)]
            total += tf.pad(won, margins)
    return total
