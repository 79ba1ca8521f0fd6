"""Standardises projections over the global batch, forward and backward.

What the official implementation's affine-free last batch norm does: biased variance,
eps 1e-5, columns of the batch of all replicas. Columns are independent of each other,
so that all of this can be done a block of columns at a time.
"""

import tensorflow as tf

from bt_keras.distribution import collectives

EPSILON = 1e-5


class Moments:
    """Column means and inverse standard deviations of both views' projections."""

    def __init__(self, count, mean_a, mean_b, var_a, var_b):
        self.count = count
        self.mean_a, self.mean_b = mean_a, mean_b
        self.inv_a = tf.math.rsqrt(var_a + EPSILON)
        self.inv_b = tf.math.rsqrt(var_b + EPSILON)

    def standardise(self, z_a, z_b):
        return (z_a - self.mean_a) * self.inv_a, (z_b - self.mean_b) * self.inv_b

    def shortfall(self, squared_distance):
        """1 - d, from the mean squared distance of the views' standardised columns.

        mean(a²) = var / (var + eps) = 1 - eps inv², hence
        1 - d = (mean((a - b)²) + eps (inv_a² + inv_b²)) / 2: no difference of nearly
        equal numbers, where `1 - mean(a ∘ b)` would lose all digits as d nears 1.
        """
        slack = EPSILON * (tf.square(self.inv_a) + tf.square(self.inv_b))
        return 0.5 * (squared_distance + slack)

    def backward(self, grad_a, grad_b, a, b, along, shortfall, dots):
        """From gradients of the standardised rows to gradients of the raw ones.

        dz = inv (dẑ - mean(dẑ) - ẑ mean(dẑ ∘ ẑ)), means over the global batch, for
        dẑ_A = grad_a + along ∘ b and dẑ_B = grad_b + along ∘ a.

        The columns of dẑ sum to zero, since all its parts are linear combinations
        of standardised rows; so the sums `column_dots` are all that crosses replicas.
        The diagonal's part needs no reduction, b - a d being (b - a) + a (1 - d),
        which again spares a difference of nearly equal numbers.

        Args:
            grad_a: float32 Tensor (n, D), without the diagonal's part.
            grad_b: float32 Tensor (n, D).
            a: float32 Tensor (n, D), the standardised rows.
            b: float32 Tensor (n, D).
            along: float32 Tensor (D,), the slope of the diagonal's part.
            shortfall: float32 Tensor (D,), 1 - d.
            dots: `column_dots(grad_a, grad_b, a, b)`, summed over the replicas.

        Returns:
            The gradients of z_a and z_b, float32 (n, D).
        """
        dot_a, dot_b = tf.unstack(dots)
        short, step = along * shortfall, along * (b - a)
        grad_a = self.inv_a * (grad_a + step + a * (short - dot_a / self.count))
        grad_b = self.inv_b * (grad_b - step + b * (short - dot_b / self.count))
        return grad_a, grad_b


def column_dots(grad_a, grad_b, a, b):
    """Sums of grad ∘ ẑ over this replica's rows, float32 (2, D)."""
    return tf.stack([tf.reduce_sum(grad_a * a, 0), tf.reduce_sum(grad_b * b, 0)])


def moments_of_rows(rows_a, rows_b):
    """The `Moments` of rows that are all here."""
    mean_a, var_a = tf.nn.moments(rows_a, axes=[0])
    mean_b, var_b = tf.nn.moments(rows_b, axes=[0])
    count = tf.cast(tf.shape(rows_a)[0], tf.float32)
    return Moments(count, mean_a, mean_b, var_a, var_b)


def moments_by_reduction(z_a, z_b):
    """Combines every replica's own moments; no row leaves its replica."""
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
    # Variance within replicas and between them, without a difference of squares.
    spread = tf.math.squared_difference(means, mean)
    var = tf.reduce_sum(counts * (variances + spread), axis=0) / count
    return Moments(count, *tf.split(mean, 2), *tf.split(var, 2))
