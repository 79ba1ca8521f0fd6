"""The mathematics of batch normalization over several views and replicas."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.distribution import collectives, devices


def normalize_views(x, gamma, beta, shift, epsilon, views=1):
    """Normalizes each view with the statistics of its rows on all replicas.

    Args:
        x: Float tensor (views * n, ..., C), the rows of this replica.
        gamma: Tensor (C,), the scale.
        beta: Tensor (C,), the offset.
        shift: Tensor (C,), equal on every replica and close to the mean. Squares are
            summed about it to avoid cancellation in the variance.
        epsilon: Float > 0, added to the variance.
        views: Integer, the number of views whose rows follow each other, all of the
            same number. Defaults to `1`.

    Returns:
        Tuple `(outputs, mean, variance)`; the last two are (views, C), with the
        unbiased variance, and no gradient flows through them.
    """
    axes = list(range(1, x.shape.rank))

    @tf.custom_gradient
    def normalize(x, gamma, beta):
        # Only the first axis is split, so that XLA may choose any layout.
        shape = tf.concat([[views, -1], tf.shape(x)[1:]], axis=0)
        rows = tf.ensure_shape(tf.reshape(x, shape), [views, None, *x.shape[1:]])
        count = tf.cast(tf.size(rows) // (views * x.shape[-1]), gamma.dtype)
        sums = _sums(rows, shift, count, axes)
        count, first, second = collectives.all_reduce_sum([count, *sums])
        first, second = first / count, second / count
        variance = second - tf.square(first)
        # Negative by rounding alone. (`tf.maximum` might hide NaN.)
        variance = tf.where(variance < 0, 0.0, variance)
        mean, inverse = shift + first, tf.math.rsqrt(variance + epsilon)
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
        outputs = _affine(rows, mean, inverse, gamma, beta)

        def grad(dy, *_):
            dy = tf.reshape(dy, tf.shape(rows))
            dbeta, dgamma = _grad_sums(dy, rows, mean, inverse, axes)
            sums = collectives.all_reduce_sum([dbeta, dgamma])
            dx = _grad_rows(dy, rows, mean, inverse, gamma, *(s / count for s in sums))
            dx = tf.reshape(dx, tf.shape(x))
            return dx, tf.reduce_sum(dgamma, axis=0), tf.reduce_sum(dbeta, axis=0)

        outputs = tf.reshape(outputs, tf.shape(x))
        return (outputs, tf.stop_gradient(mean), tf.stop_gradient(unbiased)), grad

    return normalize(x, gamma, beta)


def _sums(rows, shift, count, axes):
    """Sums x - shift and its square for each view and channel."""
    if devices.gpus():
        return _sums_in_one_pass(rows, shift, axes)
    # A CPU needs no more time for a second pass, which is exact for any mean.
    mean, variance = tf.nn.moments(tf.cast(rows, shift.dtype), axes)
    distance = mean - shift
    return count * distance, count * (variance + tf.square(distance))


@devices.fused
def _sums_in_one_pass(rows, shift, axes):
    distance = tf.cast(rows, shift.dtype) - shift
    return tf.reduce_sum(distance, axes), tf.reduce_sum(tf.square(distance), axes)


@devices.fused
def _affine(rows, mean, inverse, gamma, beta):
    """Computes gamma (x - mean) inverse + beta."""
    standardized = _standardized(rows, mean, inverse)
    return tf.cast(standardized * gamma + beta, rows.dtype)


@devices.fused
def _grad_sums(dy, rows, mean, inverse, axes):
    """Sums dy and dy ∘ x̂, the gradients of beta and gamma, for each view."""
    dy = tf.cast(dy, mean.dtype)
    standardized = _standardized(rows, mean, inverse)
    return tf.reduce_sum(dy, axes), tf.reduce_sum(dy * standardized, axes)


@devices.fused
def _grad_rows(dy, rows, mean, inverse, gamma, mean_dy, mean_dy_x):
    """Computes dx = gamma inverse (dy - mean(dy) - x̂ mean(dy ∘ x̂))."""
    rank = rows.shape.rank
    standardized = _standardized(rows, mean, inverse)
    dx = tf.cast(dy, mean.dtype) - _spread(mean_dy, rank)
    dx -= standardized * _spread(mean_dy_x, rank)
    return tf.cast(_spread(gamma * inverse, rank) * dx, rows.dtype)


def _standardized(rows, mean, inverse):
    rank = rows.shape.rank
    return (tf.cast(rows, mean.dtype) - _spread(mean, rank)) * _spread(inverse, rank)


def _spread(per_view, rank):
    """Reshapes (views, C) to broadcast over (views, n, ..., C)."""
    views, channels = per_view.shape
    return tf.reshape(per_view, [views, *[1] * (rank - 2), channels])
