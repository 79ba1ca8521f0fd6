"""Standardizes embeddings over the global batch, forward and backward.

Equals the official affine-free last batch norm: biased variance, eps 1e-5, over the
rows of all replicas. Columns are independent of each other, so every function here
also accepts a block of columns.
"""

from __future__ import annotations

import math

import tensorflow as tf

from bt_keras.distribution import collectives

EPSILON = 1e-5


class Moments:
    """Column means and inverse standard deviations of the embeddings of both views.

    Args:
        count: Float32 scalar, the number of rows N of the global batch.
        mean_a: Float32 tensor (D,), the column means of view a.
        mean_b: Float32 tensor (D,), the column means of view b.
        var_a: Float32 tensor (D,), the biased column variances of view a.
        var_b: Float32 tensor (D,), the biased column variances of view b.
    """

    def __init__(self, count, mean_a, mean_b, var_a, var_b):
        self.count = count
        self.mean_a, self.mean_b = mean_a, mean_b
        self.inv_a = _inverse_deviation(var_a, count)
        self.inv_b = _inverse_deviation(var_b, count)

    def standardize(self, z_a: tf.Tensor, z_b: tf.Tensor) -> tuple:
        """Returns both views' rows (n, D) with these means and deviations removed."""
        return (z_a - self.mean_a) * self.inv_a, (z_b - self.mean_b) * self.inv_b

    def one_minus_diag(self, squared_distance: tf.Tensor) -> tf.Tensor:
        """Computes 1 - d without cancellation, where d = diag(C).

        mean(a²) = var / (var + eps) = 1 - eps inv², hence
        1 - d = (mean((a - b)²) + eps (inv_a² + inv_b²)) / 2. This has no difference of
        nearly equal numbers; `1 - mean(a ∘ b)` would lose all digits as d approaches 1.

        Args:
            squared_distance: Float32 tensor (D,), mean((a - b)²) over the global batch.

        Returns:
            Float32 tensor (D,).
        """
        slack = EPSILON * (tf.square(self.inv_a) + tf.square(self.inv_b))
        return 0.5 * (squared_distance + slack)

    def backward(self, grad_a, grad_b, a, b, grad_diag, one_minus_diag, dots):
        """Computes gradients of raw rows from gradients of standardized rows.

        dz = inv (dẑ - mean(dẑ) - ẑ mean(dẑ ∘ ẑ)), means over the global batch, for
        dẑ_A = grad_a + grad_diag ∘ b and dẑ_B = grad_b + grad_diag ∘ a.

        The columns of dẑ sum to zero, since they are linear combinations of
        standardized rows; so the sums of `column_dots` are all that is reduced over
        replicas. The term of the diagonal needs no reduction, because
        b - a d = (b - a) + a (1 - d), which again avoids cancellation.

        Args:
            grad_a: Float32 tensor (n, D), without the term of the diagonal.
            grad_b: Float32 tensor (n, D).
            a: Float32 tensor (n, D), the standardized rows.
            b: Float32 tensor (n, D).
            grad_diag: Float32 tensor (D,), the gradient of the diagonal d, over N.
            one_minus_diag: Float32 tensor (D,), 1 - d.
            dots: `column_dots(grad_a, grad_b, a, b)`, summed over replicas.

        Returns:
            Tuple of the gradients of z_a and z_b, float32 (n, D).
        """
        dot_a, dot_b = tf.unstack(dots)
        own, cross = grad_diag * one_minus_diag, grad_diag * (b - a)
        grad_a = self.inv_a * (grad_a + cross + a * (own - dot_a / self.count))
        grad_b = self.inv_b * (grad_b - cross + b * (own - dot_b / self.count))
        return grad_a, grad_b


def _inverse_deviation(var, count):
    """Returns 1 / sqrt(var + eps), NaN where it is not defined.

    The squares of projections beyond 1e19 overflow. With the inverse of an infinite
    variance, 0, the loss would be finite and wrong. The variance of one row is 0.
    """
    valid = tf.logical_and(tf.math.is_finite(var), count > 1)
    return tf.where(valid, tf.math.rsqrt(var + EPSILON), math.nan)


def column_dots(grad_a, grad_b, a, b) -> tf.Tensor:
    """Returns the sums of grad ∘ ẑ over the rows of this replica, float32 (2, D)."""
    return tf.stack([tf.reduce_sum(grad_a * a, 0), tf.reduce_sum(grad_b * b, 0)])


def moments_of_rows(rows_a: tf.Tensor, rows_b: tf.Tensor) -> Moments:
    """Returns the `Moments` of float32 rows (N, D) that are all on this device."""
    mean_a, var_a = tf.nn.moments(rows_a, axes=[0])
    mean_b, var_b = tf.nn.moments(rows_b, axes=[0])
    count = tf.cast(tf.shape(rows_a)[0], tf.float32)
    return Moments(count, mean_a, mean_b, var_a, var_b)


def moments_by_reduction(z_a: tf.Tensor, z_b: tf.Tensor) -> Moments:
    """Combines the moments of all replicas, whose rows stay where they are.

    Args:
        z_a: Float32 tensor (n, D), the rows of this replica.
        z_b: Float32 tensor (n, D).

    Returns:
        `Moments` of the global batch.
    """
    if collectives.num_replicas() == 1:
        return moments_of_rows(z_a, z_b)
    own = tf.concat([z_a, z_b], axis=1)
    own_count = tf.cast(tf.shape(own)[0], tf.float32)
    own_mean, own_var = tf.nn.moments(own, axes=[0])
    row = tf.concat([[own_count], own_mean, own_var], axis=0)[tf.newaxis]
    rows = collectives.all_gather(row)
    counts, means, variances = tf.split(rows, [1, own.shape[1], own.shape[1]], axis=1)
    count = tf.reduce_sum(counts)
    mean = tf.reduce_sum(counts * means, axis=0) / count
    # Variance within and between replicas, without a difference of squares.
    spread = tf.math.squared_difference(means, mean)
    var = tf.reduce_sum(counts * (variances + spread), axis=0) / count
    return Moments(count, *tf.split(mean, 2), *tf.split(var, 2))
