"""‖C‖²_F and its gradient through N x N Gram matrices: 8N²D FLOP, N² memory.

On one device large Gram matrices are made by halves, which spares a fifth of that.

    ‖C‖²_F = Σ (AAᵀ ∘ BBᵀ) / N²
    ∂redundancy/∂A = 2/N² (BBᵀ)A - 2/N B diag(d),  ∂invariance/∂A = 2/N B diag(d - 1)

A block of columns at a time: besides the projections, their gradients and the N x N
matrices, nothing is as large as a view's projections.
"""

import functools
import itertools

import tensorflow as tf

from bt_keras.distribution import collectives
from bt_keras.losses.column_blocks import column_blocks, columns
from bt_keras.losses.standardize import column_dots, moments_of_rows

# Of a view's rows at a time; a few such blocks stay in a processor's cache.
BLOCK_BYTES = 2**21
# Rows of a strip of the Gram matrices.
NARROWEST = 128


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
    own, rows = (z_a, z_b), collectives.all_gather_packed([z_a, z_b])
    height = z_a.shape[0] and z_a.shape[0] * collectives.num_replicas()
    blocks = column_blocks(height, z_a.shape[1], BLOCK_BYTES)
    strips = _strips(rows[0].shape[0])
    parts_a = parts_b = [0.0] * len(strips)
    shortfalls, done = [], ()
    for block in blocks:
        moments, (a, b), (all_a, all_b) = _standardised(block, own, rows, done)
        parts_a = _add_products(parts_a, strips, a, all_a)
        parts_b = _add_products(parts_b, strips, b, all_b)
        distance = tf.reduce_mean(tf.math.squared_difference(all_a, all_b), axis=0)
        shortfalls.append(moments.shortfall(distance))
        done = (*parts_a, *parts_b, shortfalls[-1])

    n = moments.count
    gram_a, gram_b = (_mirrored(parts, strips) for parts in (parts_a, parts_b))
    (squared_norm,) = collectives.all_reduce_sum([tf.reduce_sum(gram_a * gram_b)])
    shortfall = tf.concat(shortfalls, axis=0)
    redundancy = squared_norm / tf.square(n) - tf.reduce_sum(tf.square(1.0 - shortfall))

    def grad(grad_invariance, grad_redundancy):
        scale = 2.0 * grad_redundancy / tf.square(n)
        scaled = scale * gram_a, scale * gram_b
        diagonals = []
        for short in shortfalls:
            mixed = grad_invariance * short + grad_redundancy * (1.0 - short)
            diagonals.append((-2.0 * mixed / n, short))
        return _gradients(own, rows, blocks, scaled, diagonals)

    return (tf.reduce_sum(tf.square(shortfall)), redundancy), grad


def _standardised(block, own, rows, after):
    """A block's moments, own rows and all rows (the same on one device)."""
    all_rows = columns(block, *rows, after=after)
    moments = moments_of_rows(*all_rows)
    everyone = moments.standardise(*all_rows)
    if collectives.num_replicas() == 1:
        return moments, everyone, everyone
    return moments, moments.standardise(*columns(block, *own, after=after)), everyone


def _gradients(own, rows, blocks, scaled, diagonals):
    """The gradients of both views' projections.

    Args:
        own: both views' float32 Tensors (n, D), this replica's rows.
        rows: both views' float32 Tensors (N, D), all rows.
        blocks: list of `(start, stop)`.
        scaled: both views' Gram matrices (n, N), times 2h / N².
        diagonals: for every block `(along, shortfall)`, see `Moments.backward`.
    """
    pending, dots, gradients = [], [], []

    def finish():
        sums = collectives.all_reduce_sum(dots)
        for backward, dot in zip(pending, sums, strict=True):
            gradients.append(backward(dot))
        pending.clear()
        dots.clear()

    done = scaled
    for block, diagonal in zip(blocks, diagonals, strict=True):
        moments, (a, b), (all_a, all_b) = _standardised(block, own, rows, done)
        slopes = tf.matmul(scaled[1], all_a), tf.matmul(scaled[0], all_b)
        pending.append(functools.partial(moments.backward, *slopes, a, b, *diagonal))
        dots.append(column_dots(*slopes, a, b))
        done = (dots[-1],)
        if collectives.num_replicas() == 1:  # There is no collective to share.
            finish()
            done = gradients[-1]
    finish()
    return _joined(gradients)


def _joined(gradients):
    """Blocks of both views' gradients, joined one view after the other."""
    blocks_a, blocks_b = zip(*gradients, strict=True)
    grad_a = tf.concat(blocks_a, axis=1)
    with tf.control_dependencies([grad_a]):  # The first view's blocks are free again.
        return grad_a, tf.concat(blocks_b, axis=1)


def _strips(rows):
    """Row ranges in which a replica makes its rows of a Gram matrix.

    On one device the matrix is symmetric, and a strip begins at its own diagonal: with
    four of them three eighths of the work are spared. Narrow strips run slower.
    """
    if collectives.num_replicas() > 1 or rows is None or rows < 4 * NARROWEST:
        return [(0, None)]
    edges = [rows * strip // 4 for strip in range(5)]
    return list(itertools.pairwise(edges))


def _add_products(parts, strips, own, everyone):
    return [
        part + tf.matmul(own[start:stop], everyone[start:], transpose_b=True)
        for part, (start, stop) in zip(parts, strips, strict=True)
    ]


def _mirrored(parts, strips):
    """The whole matrix of its strips."""
    if len(strips) == 1:
        return parts[0]
    rows = [
        tf.pad(part, ((0, 0), (start, 0)))
        for part, (start, _) in zip(parts, strips, strict=True)
    ]
    upper = tf.linalg.band_part(tf.concat(rows, axis=0), 0, -1)
    strictly_upper = tf.linalg.set_diag(upper, tf.zeros_like(upper[0]))
    return upper + tf.transpose(strictly_upper)
