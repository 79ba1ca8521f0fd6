"""‖C‖²_F and its gradient through C itself: 6ND² FLOP, D x block memory.

    ∂redundancy/∂A = 2/N B offdiag(C)ᵀ,  ∂invariance/∂A = 2/N B diag(d - 1)

C is made, used for the value and for the gradient and forgotten a block of columns at
a time, so that D x D is never held.
"""

import tensorflow as tf

from bt_keras.distribution import collectives
from bt_keras.losses.column_blocks import column_blocks, columns
from bt_keras.losses.standardize import column_dots, moments_by_reduction

# Of C at a time; wide enough for the products to run at full speed.
BLOCK_BYTES = 2**25


@tf.custom_gradient
def correlation_terms(z_a, z_b):
    """Invariance and redundancy of `barlow_twins_terms`.

    Every replica keeps its own rows: one gather of 4D + 1 floats, then for each block
    of columns one all-reduce of its part of C, D² + D floats together; backward one
    of 2D column sums.

    Args:
        z_a: float32 Tensor (n, D), this replica's rows.
        z_b: float32 Tensor (n, D).

    Returns:
        `(invariance, redundancy)`, float32 scalars.
    """
    moments = moments_by_reduction(z_a, z_b)
    a, b = moments.standardise(z_a, z_b)
    n, width = moments.count, z_a.shape[1]

    redundancy = slope_a = 0.0
    slopes_b, distances, done = [], [], ()
    for block in column_blocks(width, width, BLOCK_BYTES):
        block_a, block_b = columns(block, a, b, after=done)
        distance, c = collectives.all_reduce_sum(
            [
                tf.reduce_sum(tf.math.squared_difference(block_a, block_b), axis=0),
                tf.matmul(a, block_b, transpose_a=True),
            ]
        )
        off_diagonal = _without_diagonal(c / n, block)
        redundancy += tf.reduce_sum(tf.square(off_diagonal))
        slope_a += tf.matmul(block_b, off_diagonal, transpose_b=True)
        slopes_b.append(tf.matmul(a, off_diagonal))
        distances.append(distance)
        done = (redundancy, slope_a, slopes_b[-1])
    shortfall = moments.shortfall(tf.concat(distances, axis=0) / n)

    def grad(grad_invariance, grad_redundancy):
        scale = 2.0 * grad_redundancy / n
        slopes = scale * slope_a, scale * tf.concat(slopes_b, axis=1)
        (dots,) = collectives.all_reduce_sum([column_dots(*slopes, a, b)])
        along = -2.0 * grad_invariance * shortfall / n
        return moments.backward(*slopes, a, b, along, shortfall, dots)

    return (tf.reduce_sum(tf.square(shortfall)), redundancy), grad


def _without_diagonal(c, block):
    """Columns `block` of C with C's diagonal set to zero."""
    start, stop = block
    return tf.linalg.set_diag(c, tf.zeros([stop - start]), k=-start)
