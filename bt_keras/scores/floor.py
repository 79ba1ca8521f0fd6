"""The least value that the loss of Barlow Twins can have for a batch and a width."""

from __future__ import annotations

from bt_keras import checks

_BATCH = checks.Number(2, integer=True)


def loss_floor(batch: int, width: int, lambd: float) -> float:
    """Computes a lower bound of the loss of Barlow Twins.

    The embeddings of a batch of N images are centered, so that the cross-correlation
    matrix C of D columns has rank r <= N - 1. With fewer images than columns it cannot
    be the identity. For a matrix of rank r, ‖C‖² >= (tr C)² / r; and for λ <= 1 the
    loss Σ(1 - C_ii)² + λ(‖C‖² - Σ C_ii²) is, for a given trace, least if all C_ii are
    equal, C_ii = d. Then it is at least

        D ((1 - d)² + κ d²),   κ = max(0, λ (D / (N - 1) - 1)),

    whose minimum over d, at d = 1 / (1 + κ), is the floor D κ / (1 + κ). A λ > 1 is
    treated as 1: the loss does not decrease with λ.

    Args:
        batch: Integer >= 2, images N of a step, over all replicas.
        width: Integer > 0, columns D of the embeddings.
        lambd: Float >= 0, weight λ of the redundancy term.

    Returns:
        Float >= 0; 0 if N > D.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras import scores
    >>> round(scores.loss_floor(batch=2048, width=8192, lambd=0.0051), 1)
    123.5
    """
    batch = checks.number("batch", batch, _BATCH)
    width = checks.number("width", width, checks.COUNT)
    lambd = checks.number("lambd", lambd, checks.NOT_NEGATIVE)
    kappa = max(0.0, min(lambd, 1.0) * (width / (batch - 1) - 1))
    return width * kappa / (1 + kappa)
