"""RankMe: the effective rank of features or embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from bt_keras import checks
from bt_keras.scores.rows import check_rows, spaced
from bt_keras.scores.spectrum import eigenvalues, entropy_rank

# Section 3.1 of the paper: for float32.
EPSILON = 1e-7
# The number of images with which the paper estimates the rank.
SAMPLES = 25_600


def effective_rank(rows: Any, samples: int | None = SAMPLES) -> float:
    """Computes RankMe (Garrido et al., arXiv 2210.02885, section 3.1, equation 1).

    With the singular values s of the rows, which are not centered,

        p_k = s_k / Σ_j s_j + 1e-7,   RankMe = exp(-Σ_k p_k log p_k).

    The paper computes it on the embeddings, the projector's outputs, and shows that
    it also works on features. It compares runs of one method with each other.

    Args:
        rows: Array (N, F) of numbers, N >= 2: features or embeddings.
        samples: Optional integer > 0: evenly spaced rows to use if there are more,
            `None` for all rows. Defaults to `25600`, as in the paper.

    Returns:
        Float: 1 if all rows are multiples of one vector, up to min(N, F) for singular
        values that are equal, 0 if all numbers are 0.

    Raises:
        UsageError: If the rows are not such an array, or a number is not finite.

    Example:

    >>> from bt_keras import scores
    >>> rows = np.random.default_rng(0).normal(size=(1000, 5))
    >>> f"{scores.effective_rank(rows):.2f}"
    '5.00'
    >>> f"{scores.effective_rank(np.ones((1000, 5))):.2f}"
    '1.00'
    """
    array = check_rows("rows", rows)
    if samples is not None:
        samples = checks.number("samples", samples, checks.COUNT)
    sampled = spaced(array, samples)
    return entropy_rank(np.sqrt(eigenvalues(sampled)), EPSILON)
