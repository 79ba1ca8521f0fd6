"""‖C‖²_F and its gradient through C itself: 6ND² FLOP, memory for D x block of C.

    ∂redundancy/∂A = 2/N B offdiag(C)ᵀ,  ∂invariance/∂A = 2/N B diag(d - 1)

Each block of columns of C is computed, used for the value and for the gradient, and
discarded, so that the whole D x D matrix is never in memory.
"""

from __future__ import annotations

import tensorflow as tf

from bt_keras.distribution import collectives
from bt_keras.losses.column_blocks import column_blocks, columns
from bt_keras.losses.standardize import column_dots, moments_by_reduction

# Size of a block of C; wide enough for matrix products to run at full speed.
BLOCK_BYTES = 2**25


@tf.custom_gradient
def correlation_terms(z_a, z_b):
    """Computes invariance and redundancy through the cross-correlation matrix.

    Every replica keeps its own rows. Forward there is one all-gather of 4D + 1 floats
    and, for each block of columns, one all-reduce of the block of C, D² + D floats in
    total; backward there is one all-reduce of 2D column sums.

    Args:
        z_a: Float32 tensor (n, D), the rows of this replica.
        z_b: Float32 tensor (n, D).

    Returns:
        Tuple `(invariance, redundancy)` of float32 scalars, see `barlow_twins_terms`.
    """
    moments = moments_by_reduction(z_a, z_b)
    a, b = moments.standardize(z_a, z_b)
    n, width = moments.count, z_a.shape[1]

    redundancy = product_a = 0.0
    products_b, distances, done = [], [], ()
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
        product_a += tf.matmul(block_b, off_diagonal, transpose_b=True)
        products_b.append(tf.matmul(a, off_diagonal))
        distances.append(distance)
        done = (redundancy, product_a, products_b[-1])
    one_minus_diag = moments.one_minus_diag(tf.concat(distances, axis=0) / n)

    def grad(grad_invariance, grad_redundancy):
        scale = 2.0 * grad_redundancy / n
        grads_wrt_ab = scale * product_a, scale * tf.concat(products_b, axis=1)
        (dots,) = collectives.all_reduce_sum([column_dots(*grads_wrt_ab, a, b)])
        grad_diag = -2.0 * grad_invariance * one_minus_diag / n
        return moments.backward(*grads_wrt_ab, a, b, grad_diag, one_minus_diag, dots)

    return (tf.reduce_sum(tf.square(one_minus_diag)), redundancy), grad


def _without_diagonal(c, block):
    """Returns the columns `block` of C with the diagonal of C set to zero."""
    start, stop = block
    return tf.linalg.set_diag(c, tf.zeros([stop - start]), k=-start)
