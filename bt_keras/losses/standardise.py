"""Standardises projections over the global batch, forward and backward.

What the official implementation's affine-free last batch norm does: biased variance,
eps 1e-5, columns of the batch of all replicas.
"""

import tensorflow as tf

from bt_keras import collectives

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

    def backward(self, grad_a, grad_b, along, shortfall, a, b):
        """From gradients of the standardised rows to gradients of the raw ones.

        dz = inv (dẑ - mean(dẑ) - ẑ mean(dẑ ∘ ẑ)), means over the global batch, for
        dẑ_A = grad_a + along ∘ b and dẑ_B = grad_b + along ∘ a.

        The columns of dẑ sum to zero, since all its parts are linear combinations
        of standardised rows; so one packed all-reduce of 2D sums is all that crosses
        replicas. The diagonal's part needs no reduction, b - a d being
        (b - a) + a (1 - d), which again spares a difference of nearly equal numbers.
        """
        dot_a, dot_b = collectives.all_reduce_sum(
            [tf.reduce_sum(grad_a * a, axis=0), tf.reduce_sum(grad_b * b, axis=0)]
        )
        short, step = along * shortfall, along * (b - a)
        grad_a = self.inv_a * (grad_a + step + a * (short - dot_a / self.count))
        grad_b = self.inv_b * (grad_b - step + b * (short - dot_b / self.count))
        return grad_a, grad_b


def moments_by_gathering(z_a, z_b):
    """Gathers the raw rows of both views in one collective of 2ND floats."""
    rows = collectives.all_gather(tf.concat([z_a, z_b], axis=1))
    all_a, all_b = tf.split(rows, 2, axis=1)
    mean_a, var_a = tf.nn.moments(all_a, axes=[0])
    mean_b, var_b = tf.nn.moments(all_b, axes=[0])
    count = tf.cast(tf.shape(rows)[0], tf.float32)
    return Moments(count, mean_a, mean_b, var_a, var_b), all_a, all_b


def moments_by_reduction(z_a, z_b):
    """Combines every replica's own moments; no row leaves its replica."""
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
