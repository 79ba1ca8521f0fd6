"""‖C‖²_F and its gradient through N x N Gram matrices: 8N²D FLOP, N² memory.

    ‖C‖²_F = Σ (AAᵀ ∘ BBᵀ) / N²
    ∂redundancy/∂A = 2/N² (BBᵀ)A - 2/N B diag(d),  ∂invariance/∂A = 2/N B diag(d - 1)

A block of columns at a time: besides the projections, their gradients and the N x N
matrices, nothing is as large as a view's projections.
"""

import functools

import tensorflow as tf

from bt_keras import collectives
from bt_keras.losses.blocks import column_blocks, columns
from bt_keras.losses.standardise import column_dots, moments_of_rows

# Of a view's rows at a time; a few such blocks stay in a processor's cache.
BLOCK_BYTES = 2**21


@tf.custom_gradient
def gram_terms(z_a, z_b):
    """Invariance and redundancy of `barlow_twins_terms`.

    All replicas' rows are gathered in one collective of 2ND floats, and each replica
    computes its own n rows of both Gram matrices, 1/R of the work. One scalar is
    summed forward, and 2D column sums backward.

    Args:
        z_a: float32 Tensor (n, D), this replica's rows.
        z_b: float32 Tensor (n, D).

    Returns:
        `(invariance, redundancy)`, float32 scalars.
    """
    rows_a, rows_b = collectives.all_gather_packed([z_a, z_b])
    blocks = column_blocks(rows_a.shape[0], z_a.shape[1], BLOCK_BYTES)

    def standardised(block, after):
        """The block's moments, own rows and all rows (the same on one device)."""
        all_a, all_b = columns(block, rows_a, rows_b, after=after)
        moments = moments_of_rows(all_a, all_b)
        everyone = moments.standardise(all_a, all_b)
        if collectives.num_replicas() == 1:
            return moments, everyone, everyone
        own = moments.standardise(*columns(block, z_a, z_b, after=after))
        return moments, own, everyone

    gram_a = gram_b = 0.0
    shortfalls, done = [], ()
    for block in blocks:
        moments, (a, b), (all_a, all_b) = standardised(block, done)
        gram_a += tf.matmul(a, all_a, transpose_b=True)
        gram_b += tf.matmul(b, all_b, transpose_b=True)
        distance = tf.reduce_mean(tf.math.squared_difference(all_a, all_b), axis=0)
        shortfalls.append(moments.shortfall(distance))
        done = (gram_a, gram_b, shortfalls[-1])

    n = moments.count
    (squared_norm,) = collectives.all_reduce_sum([tf.reduce_sum(gram_a * gram_b)])
    shortfall = tf.concat(shortfalls, axis=0)
    redundancy = squared_norm / tf.square(n) - tf.reduce_sum(tf.square(1.0 - shortfall))

    def grad(grad_invariance, grad_redundancy):
        scale = 2.0 * grad_redundancy / tf.square(n)
        scaled_a, scaled_b = scale * gram_a, scale * gram_b
        pending, dots, gradients = [], [], []

        def finish():
            for waiting, dot in zip(
                pending, collectives.all_reduce_sum(dots), strict=True
            ):
                gradients.append(waiting(dot))
            pending.clear(), dots.clear()

        done = (scaled_a, scaled_b)
        for block, short in zip(blocks, shortfalls, strict=True):
            moments, own, (all_a, all_b) = standardised(block, done)
            slopes = tf.matmul(scaled_b, all_a), tf.matmul(scaled_a, all_b)
            mixed = grad_invariance * short + grad_redundancy * (1.0 - short)
            along = -2.0 * mixed / n
            dots.append(column_dots(*slopes, *own))
            pending.append(
                functools.partial(moments.backward, *slopes, *own, along, short)
            )
            done = (dots[-1],)
            if collectives.num_replicas() == 1:  # There is no collective to share.
                finish()
                done = gradients[-1]
        finish()
        return _joined(gradients)

    return (tf.reduce_sum(tf.square(shortfall)), redundancy), grad


def _joined(gradients):
    """Blocks of both views' gradients, joined one view after the other."""
    blocks_a, blocks_b = zip(*gradients, strict=True)
    grad_a = tf.concat(blocks_a, axis=1)
    with tf.control_dependencies([grad_a]):  # The first view's blocks are free again.
        return grad_a, tf.concat(blocks_b, axis=1)
