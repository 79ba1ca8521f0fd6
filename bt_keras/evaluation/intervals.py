"""Confidence intervals of accuracies."""

from __future__ import annotations

import math
import statistics


def wilson(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Computes the Wilson score interval of a share.

    Unlike the normal approximation, it holds for few images and for shares near 0 and
    1 (E. B. Wilson, 1927).

    Args:
        share: Float in [0, 1], such as an accuracy.
        n: Integer > 0, the number of images that it was measured on.
        confidence: Float in (0, 1), how often the interval contains the accuracy on
            all images. Defaults to `0.95`.

    Returns:
        Tuple of two floats in [0, 1].

    Example:

    >>> from bt_keras.evaluation.intervals import wilson
    >>> low, high = wilson(0.8, n=10)
    >>> f"{low:.4f}, {high:.4f}"
    '0.4902, 0.9433'
    """
    z = statistics.NormalDist().inv_cdf(0.5 + confidence / 2)
    scale = 1 + z**2 / n
    center = (share + z**2 / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, center - half), min(1.0, center + half)


def percent_interval(share: float, n: int) -> str:
    """Formats the 95 % interval of a share in percent.

    Args:
        share: Float in [0, 1].
        n: Integer > 0, as for `wilson`.

    Example:

    >>> from bt_keras.evaluation.intervals import percent_interval
    >>> percent_interval(0.8, n=10)
    '49.02 to 94.33'
    """
    low, high = wilson(share, n)
    return f"{100 * low:.2f} to {100 * high:.2f}"
