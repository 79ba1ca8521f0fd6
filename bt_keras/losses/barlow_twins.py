r"""The Barlow Twins loss, exact over the global batch, with closed-form gradients.

With the columns of both projections standardised over the global batch of N rows
(biased variance, eps 1e-5, as the official affine-free batch norm does), A and B:

    C = AᵀB / N,  d = diag(C)
    invariance = Σᵢ (1 - dᵢ)²,  redundancy = ‖C‖²_F - Σᵢ dᵢ²
    loss = invariance + lambd · redundancy

(Zbontar et al., https://arxiv.org/abs/2103.03230, eq. 1 and 2). `gram` and
`correlation` are two exact ways to ‖C‖²_F and to its gradients; the backward pass of
the standardisation follows both. Always float32: Gram entries reach D, and their
products D².
"""

import tensorflow as tf

from bt_keras.distribution import collectives
from bt_keras.errors import UsageError
from bt_keras.losses.correlation import correlation_terms
from bt_keras.losses.gram import gram_terms
from bt_keras.losses.standardize import moments_by_reduction

IMPLEMENTATIONS = ("auto", "gram", "correlation")


def barlow_twins_loss(z_a, z_b, lambd=5e-3, implementation="auto"):
    """The Barlow Twins loss of two batches of projections.

    Inside `strategy.run` it is the loss of the global batch, the same on every
    replica, and its gradient is that of the global loss with respect to this
    replica's rows. Keras sums gradients over replicas, so that R replicas train
    exactly as one device does on the concatenated batch.

    Args:
        z_a: float Tensor (n, D), the raw projections of one view: this replica's
            rows. Computed in float32 whatever the dtype.
        z_b: float Tensor (n, D), the projections of the other view, row by row of
            the same images.
        lambd: float >= 0, the weight of the redundancy term; 5e-3 in the paper.
        implementation: `"gram"`, `"correlation"`, or `"auto"` for the one with
            fewer operations: `"gram"` where N < 0.75 D.

    Returns:
        float32 scalar, `invariance + lambd * redundancy`.

    Raises:
        UsageError: for shapes that are not two equal (n, D), for a global batch of
            one, or an unknown implementation.

    Example:

    >>> z = tf.random.normal((256, 8192))
    >>> bt_keras.barlow_twins_loss(z, z)   # invariance is 0, redundancy is not
    """
    invariance, redundancy = barlow_twins_terms(z_a, z_b, implementation)
    return invariance + lambd * redundancy


def barlow_twins_terms(z_a, z_b, implementation="auto"):
    """The two terms of the Barlow Twins loss, each differentiable.

    Args:
        z_a: float Tensor (n, D), see `barlow_twins_loss`.
        z_b: float Tensor (n, D).
        implementation: as in `barlow_twins_loss`.

    Returns:
        `(invariance, redundancy)`, float32 scalars: the sum of the squared
        distances of C's diagonal from 1, and of its squared off-diagonal elements.
    """
    z_a, z_b = _checked(z_a, z_b)
    if implementation not in IMPLEMENTATIONS:
        raise UsageError(
            f"implementation={implementation!r} is not one of "
            f"{', '.join(IMPLEMENTATIONS)}."
        )
    if implementation == "auto":
        implementation = _cheapest(z_a)
    terms = gram_terms if implementation == "gram" else correlation_terms
    return terms(z_a, z_b)


def cross_correlation(z_a, z_b):
    """The cross-correlation matrix of two batches of projections, to look at.

    Args:
        z_a: float Tensor (n, D), this replica's rows.
        z_b: float Tensor (n, D).

    Returns:
        float32 Tensor (D, D) with values in [-1, 1]: C of the global batch
        (eq. 2 of the paper). It has no gradient across replicas: train with
        `barlow_twins_loss`.
    """
    z_a, z_b = _checked(z_a, z_b)
    moments = moments_by_reduction(z_a, z_b)
    a, b = moments.standardise(z_a, z_b)
    (c,) = collectives.all_reduce_sum([tf.matmul(a, b, transpose_a=True)])
    return c / moments.count


def _checked(z_a, z_b):
    z_a, z_b = tf.convert_to_tensor(z_a), tf.convert_to_tensor(z_b)
    if z_a.shape.rank != 2 or not z_a.shape.is_compatible_with(z_b.shape):
        raise UsageError(
            "z_a and z_b must both be (n, D) projections of the same images; got "
            f"shapes {tuple(z_a.shape)} and {tuple(z_b.shape)}."
        )
    if z_a.shape[0] == 1 and collectives.num_replicas() == 1:
        raise UsageError(
            "z_a and z_b have one row: the cross-correlation is computed along the "
            "batch and needs at least 2 images; use a larger batch size."
        )
    z_a, z_b = tf.cast(z_a, tf.float32), tf.cast(z_b, tf.float32)
    if z_a.shape[0] is None and collectives.num_replicas() == 1:
        enough = tf.debugging.assert_greater(
            tf.shape(z_a)[0], 1, "the cross-correlation needs at least 2 images."
        )
        with tf.control_dependencies([enough] if enough is not None else []):
            z_a = tf.identity(z_a)
    return z_a, z_b


def _cheapest(z):
    """Which implementation costs fewer operations: 8N²D against 6ND²."""
    rows, width = z.shape
    if rows is None:  # A batch of unknown size: small against wide projections.
        return "gram"
    global_rows = rows * collectives.num_replicas()
    return "gram" if global_rows < 0.75 * width else "correlation"
