"""‖C‖²_F and its gradient through N x N Gram matrices: 8N²D FLOP, N² memory.

    ‖C‖²_F = Σ (AAᵀ ∘ BBᵀ) / N²
    ∂redundancy/∂A = 2/N² (BBᵀ)A - 2/N B diag(d),  ∂invariance/∂A = 2/N B diag(d - 1)

The work is done in blocks of columns: besides the embeddings, their gradients and the
N x N matrices, no tensor is as large as the embeddings of a view. On one device large
Gram matrices are computed in part and mirrored, which saves a fifth of the work.
"""

from __future__ import annotations

import functools
import itertools

import tensorflow as tf

from bt_keras.distribution import collectives, devices
from bt_keras.losses.column_blocks import column_blocks, columns
from bt_keras.losses.standardize import column_dots, moments_of_rows

# Size of a block of the rows of a view; a few such blocks fit into a CPU's cache.
BLOCK_BYTES = 2**21
# The smallest number of rows of a strip of a Gram matrix; narrower strips run slower.
MIN_STRIP_ROWS = 128
NUM_STRIPS = 4


@tf.custom_gradient
def gram_terms(z_a, z_b):
    """Computes invariance and redundancy through Gram matrices.

    The rows of all replicas are gathered in one collective of 2ND floats, and each
    replica computes its own n rows of both Gram matrices, 1/R of the work. There is
    one all-reduce of a scalar forward, and one of 2D column sums backward.

    Args:
        z_a: Float32 tensor (n, D), the rows of this replica.
        z_b: Float32 tensor (n, D).

    Returns:
        Tuple `(invariance, redundancy)` of float32 scalars, see `barlow_twins_terms`.
    """
    own, rows = (z_a, z_b), collectives.all_gather_packed([z_a, z_b])
    height = z_a.shape[0] and z_a.shape[0] * collectives.num_replicas()
    blocks = column_blocks(height, z_a.shape[1], BLOCK_BYTES)
    strips = _strips(rows[0].shape[0])
    parts_a = parts_b = [0.0] * len(strips)
    block_moments, one_minus_diags, done = [], [], ()
    for block in blocks:
        moments, (a, b), (all_a, all_b) = _standardized(block, own, rows, done)
        block_moments.append(moments)
        parts_a = _add_products(parts_a, strips, a, all_a)
        parts_b = _add_products(parts_b, strips, b, all_b)
        distance = tf.reduce_mean(tf.math.squared_difference(all_a, all_b), axis=0)
        one_minus_diags.append(moments.one_minus_diag(distance))
        done = (*parts_a, *parts_b, one_minus_diags[-1])

    n = moments.count
    gram_a, gram_b = (_symmetric(parts, strips) for parts in (parts_a, parts_b))
    (squared_norm,) = collectives.all_reduce_sum([tf.reduce_sum(gram_a * gram_b)])
    one_minus_diag = tf.concat(one_minus_diags, axis=0)
    diag_squares = tf.reduce_sum(tf.square(1.0 - one_minus_diag))
    redundancy = squared_norm / tf.square(n) - diag_squares
    # Negative by rounding alone. (`tf.maximum` might hide NaN.)
    redundancy = tf.where(redundancy < 0, 0.0, redundancy)

    def grad(grad_invariance, grad_redundancy):
        scale = 2.0 * grad_redundancy / tf.square(n)
        scaled_grams = scale * gram_a, scale * gram_b
        diagonals = []
        for short in one_minus_diags:
            mixed = grad_invariance * short + grad_redundancy * (1.0 - short)
            diagonals.append((-2.0 * mixed / n, short))
        per_block = list(zip(blocks, block_moments, diagonals, strict=True))
        return _grads_wrt_z(own, rows, per_block, scaled_grams)

    return (tf.reduce_sum(tf.square(one_minus_diag)), redundancy), grad


def _standardized(block, own, rows, after, moments=None):
    """Standardizes a block of columns.

    Returns:
        Tuple of the `Moments`, which are computed unless they are given, both views'
        own rows and both views' rows of all replicas (equal to the own rows on one
        device).
    """
    all_rows = columns(block, *rows, after=after)
    if moments is None:
        moments = moments_of_rows(*all_rows)
    all_ab = moments.standardize(*all_rows)
    if collectives.num_replicas() == 1:
        return moments, all_ab, all_ab
    return moments, moments.standardize(*columns(block, *own, after=after)), all_ab


def _grads_wrt_z(own, rows, per_block, scaled_grams):
    """Computes the gradients with respect to the embeddings of both views.

    Args:
        own: Both views' float32 tensors (n, D), the rows of this replica.
        rows: Both views' float32 tensors (N, D), the rows of all replicas.
        per_block: For every block `((start, stop), moments, diagonal)`, where the
            diagonal is `(grad_diag, one_minus_diag)`, see `Moments.backward`.
        scaled_grams: Both views' Gram matrices (n, N), times 2h / N², where h is the
            gradient of the redundancy.
    """
    pending, dots, gradients = [], [], []

    def finish():
        sums = collectives.all_reduce_sum(dots)
        for backward, dot in zip(pending, sums, strict=True):
            gradients.append(backward(dot))
        pending.clear()
        dots.clear()

    gram_a, gram_b = done = scaled_grams
    for block, moments, diagonal in per_block:
        _, (a, b), (all_a, all_b) = _standardized(block, own, rows, done, moments)
        grads_wrt_ab = tf.matmul(gram_b, all_a), tf.matmul(gram_a, all_b)
        pending.append(
            functools.partial(moments.backward, *grads_wrt_ab, a, b, *diagonal)
        )
        dots.append(column_dots(*grads_wrt_ab, a, b))
        done = (dots[-1],)
        if collectives.num_replicas() == 1:  # No collective to share between blocks.
            finish()
            done = gradients[-1]
    finish()
    return _joined(gradients)


def _joined(gradients):
    """Joins the blocks of both views' gradients, one view after the other."""
    blocks_a, blocks_b = zip(*gradients, strict=True)
    grad_a = tf.concat(blocks_a, axis=1)
    with tf.control_dependencies([grad_a]):  # Frees the blocks of the first view.
        return grad_a, tf.concat(blocks_b, axis=1)


def _strips(rows):
    """Returns the row ranges in which a replica computes its rows of a Gram matrix.

    On one device the matrix is symmetric, and a strip starts at its own diagonal: four
    strips save three eighths of its work. A GPU computes the whole matrix in less time
    than it takes to launch the kernels of four strips.
    """
    whole = collectives.num_replicas() > 1 or devices.is_accelerated()
    if whole or rows is None or rows < NUM_STRIPS * MIN_STRIP_ROWS:
        return [(0, None)]
    edges = [rows * strip // NUM_STRIPS for strip in range(NUM_STRIPS + 1)]
    return list(itertools.pairwise(edges))


def _add_products(parts, strips, own, all_rows):
    """Adds a block's products to the strips of a Gram matrix."""
    return [
        part + tf.matmul(own[start:stop], all_rows[start:], transpose_b=True)
        for part, (start, stop) in zip(parts, strips, strict=True)
    ]


def _symmetric(parts, strips):
    """Assembles a Gram matrix from its strips."""
    if len(strips) == 1:
        return parts[0]
    rows = [
        tf.pad(part, ((0, 0), (start, 0)))
        for part, (start, _) in zip(parts, strips, strict=True)
    ]
    upper = tf.linalg.band_part(tf.concat(rows, axis=0), 0, -1)
    strictly_upper = tf.linalg.set_diag(upper, tf.zeros_like(upper[0]))
    return upper + tf.transpose(strictly_upper)
