"""The loss before training."""

from __future__ import annotations


def at_start(batch: int, width: int) -> tuple[float, float]:
    """Computes the expected terms of the loss of independent views.

    The columns of both views are centered and standardized over the batch: they are
    points on a sphere in N - 1 dimensions, and C_ij is the cosine of the angle between
    column i of one view and column j of the other. If the views are independent, so are
    the points, and a cosine has mean 0 and variance 1 / (N - 1). Hence

        E[invariance] = D (1 + 1 / (N - 1)),  E[redundancy] = D (D - 1) / (N - 1).

    That holds however much the columns of one view have in common. Views of the same
    image have much in common before training, too: then the invariance term is smaller,
    and the redundancy term larger.

    Args:
        batch: Integer >= 2, the images N of a step, over all replicas.
        width: Integer > 0, the width D of the embeddings.

    Returns:
        Tuple of floats `(invariance, redundancy)`. The loss is
        `invariance + lambd * redundancy`.

    Example:

    >>> from bt_keras.plan import expected_loss
    >>> expected_loss.at_start(batch=257, width=1024)
    (1028.0, 4092.0)
    """
    return width * batch / (batch - 1), width * (width - 1) / (batch - 1)
