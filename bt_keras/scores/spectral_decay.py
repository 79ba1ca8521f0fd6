"""alpha-ReQ: how fast the spectrum of the features' covariance decays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.scores.rows import check_rows, resolution
from bt_keras.scores.spectrum import column_means, eigenvalues

# Three points: two always lie on a line.
_FEWEST = 3


def alpha_req(rows: Any, first: int = 6, last: int = 50) -> float:
    """Computes the exponent alpha of alpha-ReQ (Agrawal et al., NeurIPS 2022).

    The eigenvalues λ_1 >= λ_2 >= ... of the features' covariance are modeled as

        λ_j ∝ j^(-alpha),   log λ_j = c - alpha log j,

    a line that is fitted by least squares with the weights 1/j, as in the authors'
    code, which takes them from Stringer et al. (Nature 2019). In the paper, features
    with alpha near 1 generalize best.

    The score says nothing about collapse: few large eigenvalues with a slow decay
    behind them have a good alpha.

    Args:
        rows: Array (N, F) of numbers, N >= 2: features.
        first: Integer > 0, the index of the first eigenvalue of the fit. The largest
            ones do not follow the law. Defaults to `6`.
        last: Integer > `first` + 1, that of the last eigenvalue; fewer if there are
            fewer positive ones. Defaults to `50`, with `first` the range of the
            authors' analysis of Barlow Twins.

    Returns:
        Float; infinity if fewer than 3 eigenvalues of the range are positive, because
        then the spectrum ends, which is faster than any power. Eigenvalues below the
        rounding of the rows' type count as 0.

    Raises:
        UsageError: If the rows are not such an array, a number is not finite, or the
            range is too small.

    Example:

    >>> from bt_keras import scores
    >>> rows = np.random.default_rng(0).normal(size=(20_000, 64))
    >>> f"{scores.alpha_req(rows * np.arange(1, 65) ** -0.5):.1f}"
    '1.0'
    """
    array = check_rows("rows", rows)
    first = checks.number("first", first, checks.COUNT)
    last = checks.number("last", last, checks.COUNT)
    if last < first + _FEWEST - 1:
        raise UsageError(
            f"first={first} and last={last} leave {max(0, last - first + 1)} "
            f"eigenvalues; a fit needs at least {_FEWEST}: raise last."
        )
    count, width = array.shape
    spectrum = eigenvalues(array, centered=True) / (count - 1)
    mean_square = (spectrum.sum() + np.square(column_means(array)).sum()) / width
    # The Gram matrix is computed in float64.
    rounding = max(resolution(array) ** 2 * mean_square, 1e-14 * spectrum[0])
    positive = int(np.count_nonzero(spectrum > rounding))
    index = np.arange(first, min(last, positive) + 1)
    if len(index) < _FEWEST:
        return math.inf
    # `polyfit` multiplies the residuals by the weights before it squares them.
    slope, _ = np.polyfit(
        np.log(index), np.log(spectrum[index - 1]), 1, w=np.sqrt(1 / index)
    )
    return float(-slope)
