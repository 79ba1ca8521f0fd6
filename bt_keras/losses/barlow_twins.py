r"""The Barlow Twins loss, exact over the global batch, with closed-form gradients.

Let A and B be the embeddings of both views with their columns standardized over the
global batch of N rows (biased variance, eps 1e-5, like the official affine-free batch
norm). Then

    C = AᵀB / N,  d = diag(C)
    invariance = Σᵢ (1 - dᵢ)²,  redundancy = ‖C‖²_F - Σᵢ dᵢ²
    loss = invariance + lambd · redundancy

(Zbontar et al., https://arxiv.org/abs/2103.03230, eq. 1 and 2). `gram` and
`correlation` compute ‖C‖²_F and its gradients in two exact ways; both end with the
backward pass of the standardization. All arithmetic is float32: Gram entries reach D,
and their products D².
"""

from __future__ import annotations

import tensorflow as tf

from bt_keras import checks
from bt_keras.distribution import collectives
from bt_keras.errors import UsageError
from bt_keras.losses.correlation import correlation_terms
from bt_keras.losses.gram import gram_terms
from bt_keras.losses.standardize import moments_by_reduction

IMPLEMENTATIONS = ("auto", "gram", "correlation")
_TOO_FEW_ROWS = (
    "the cross-correlation is computed along the batch and needs at least 2 images"
)


def barlow_twins_loss(
    z_a: tf.Tensor,
    z_b: tf.Tensor,
    lambd: float = 5e-3,
    implementation: str = "auto",
) -> tf.Tensor:
    """Computes the Barlow Twins loss of the embeddings of two views.

    It is equation 1 of the paper (https://arxiv.org/abs/2103.03230):
    `Σᵢ (1 - Cᵢᵢ)² + lambd · Σᵢ Σⱼ≠ᵢ Cᵢⱼ²` with the matrix C of
    `bt_keras.cross_correlation`.

    Inside `strategy.run` this is the loss of the global batch, equal on every replica,
    and its gradient is that of the global loss with respect to the rows of this
    replica. Keras sums gradients over replicas, so R replicas train exactly like one
    device with the concatenated batch.

    Args:
        z_a: Float tensor (n, D), the raw embeddings of one view; the rows of this
            replica. Converted to float32.
        z_b: Float tensor (n, D), the embeddings of the other view. Row i belongs to
            the same image as row i of `z_a`.
        lambd: Float >= 0, the weight of the redundancy term. Defaults to `5e-3`, the
            paper's value.
        implementation: `"gram"`, `"correlation"` or `"auto"`. With N rows in the
            global batch, `"auto"` selects the cheaper one, `"gram"` if N < 0.75 D.
            Defaults to `"auto"`.

    Returns:
        Float32 scalar >= 0, `invariance + lambd * redundancy`. It is NaN, with its
        gradients, if an embedding is not finite or beyond about 1e19, where squares
        overflow.

    Raises:
        UsageError: If the shapes are not two equal (n, D), the batch has fewer than 2
            rows, `lambd` is out of range, or the implementation is unknown. Inside a
            `tf.function` with a batch of unknown size, TensorFlow raises
            `InvalidArgumentError` for a batch of fewer than 2 rows.

    Example:

    >>> z_a = tf.constant([[1.0, 2.0], [2.0, -1.0], [3.0, 2.0], [4.0, -1.0]])
    >>> round(float(bt_keras.barlow_twins_loss(z_a, z_a)), 4)  # redundancy alone
    0.002
    >>> round(float(bt_keras.barlow_twins_loss(z_a, -z_a)), 3)
    8.002
    """
    if not tf.is_tensor(lambd) and not isinstance(lambd, tf.Variable):
        lambd = checks.number("lambd", lambd, checks.NOT_NEGATIVE)
    invariance, redundancy = barlow_twins_terms(z_a, z_b, implementation)
    return invariance + lambd * redundancy


def barlow_twins_terms(
    z_a: tf.Tensor, z_b: tf.Tensor, implementation: str = "auto"
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the two terms of the Barlow Twins loss, both differentiable.

    Args:
        z_a: Float tensor (n, D), see `barlow_twins_loss`.
        z_b: Float tensor (n, D).
        implementation: See `barlow_twins_loss`. Defaults to `"auto"`.

    Returns:
        Tuple `(invariance, redundancy)` of float32 scalars: `Σᵢ (1 - Cᵢᵢ)²` and
        `Σᵢ Σⱼ≠ᵢ Cᵢⱼ²`.

    Raises:
        UsageError: As `barlow_twins_loss`.
    """
    z_a, z_b = _validated(z_a, z_b)
    implementation = checks.choice("implementation", implementation, IMPLEMENTATIONS)
    if implementation == "auto":
        implementation = _cheapest_for(z_a)
    terms = gram_terms if implementation == "gram" else correlation_terms
    return terms(z_a, z_b)


def cross_correlation(z_a: tf.Tensor, z_b: tf.Tensor) -> tf.Tensor:
    """Computes the cross-correlation matrix of the embeddings of two views.

    It is equation 2 of the paper (https://arxiv.org/abs/2103.03230): `Cᵢⱼ` is the
    correlation, over the global batch, of column i of `z_a` and column j of `z_b`. Use
    it for inspection. It has no gradient across replicas; train with
    `barlow_twins_loss`.

    Args:
        z_a: Float tensor (n, D), the rows of this replica.
        z_b: Float tensor (n, D).

    Returns:
        Float32 tensor (D, D) with values in [-1, 1].

    Raises:
        UsageError: If the shapes are not two equal (n, D), or the batch has fewer than
            2 rows.

    Example:

    >>> z_a = tf.constant([[1.0, 2.0], [2.0, -1.0], [3.0, 2.0], [4.0, -1.0]])
    >>> bt_keras.cross_correlation(z_a, -z_a).numpy().round(3)
    array([[-1.   ,  0.447],
           [ 0.447, -1.   ]], dtype=float32)
    """
    z_a, z_b = _validated(z_a, z_b)
    moments = moments_by_reduction(z_a, z_b)
    a, b = moments.standardize(z_a, z_b)
    (c,) = collectives.all_reduce_sum([tf.matmul(a, b, transpose_a=True)])
    return c / moments.count


def _validated(z_a, z_b):
    """Returns both embeddings as float32, after checking them."""
    z_a, z_b = _as_floats("z_a", z_a), _as_floats("z_b", z_b)
    shape = z_a.shape
    if shape.rank != 2 or not shape[1] or not shape.is_compatible_with(z_b.shape):
        raise UsageError(
            "z_a and z_b must both be (n, D) embeddings of the same images; got "
            f"shapes {tuple(shape)} and {tuple(z_b.shape)}."
        )
    if collectives.num_replicas() > 1:  # One row each is enough.
        return z_a, z_b
    if shape[0] is not None and shape[0] < 2:
        raise UsageError(
            f"z_a and z_b have {shape[0]} rows: {_TOO_FEW_ROWS}; use a larger batch "
            "size, and drop the remainder of the last batch."
        )
    if shape[0] is None:
        rows = tf.shape(z_a)[0]
        assertion = tf.debugging.Assert(rows > 1, [f"{_TOO_FEW_ROWS}; got", rows])
        with tf.control_dependencies([assertion] if assertion is not None else []):
            z_a = tf.identity(z_a)
    return z_a, z_b


def _as_floats(name, z):
    try:
        z = tf.convert_to_tensor(z)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name}={checks.described(z)} must be a float tensor (n, D)."
        ) from error
    if not (z.dtype.is_floating or z.dtype.is_integer):
        raise UsageError(f"{name} is {z.dtype.name}; it must be a float tensor (n, D).")
    return tf.cast(z, tf.float32)


def cheapest_implementation(rows: int, width: int) -> str:
    """Selects the implementation with fewer operations, 8N²D or 6ND².

    On one CPU the Gram form has 6.5N²D if N is large, in smaller products. See
    `benchmarks/crossover.py` for times.

    Args:
        rows: Integer, the rows N of the global batch.
        width: Integer, the width D of the embeddings.

    Returns:
        `"gram"` or `"correlation"`.
    """
    return "gram" if rows < 0.75 * width else "correlation"


def _cheapest_for(z):
    rows, width = z.shape
    if rows is None:  # Batches of unknown size are usually small, embeddings wide.
        return "gram"
    return cheapest_implementation(rows * collectives.num_replicas(), width)
