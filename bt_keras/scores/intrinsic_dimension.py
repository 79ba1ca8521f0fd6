"""TwoNN: the intrinsic dimension from the two nearest neighbors of each row."""

from __future__ import annotations

import numpy as np

from bt_keras.scores.nearest_rows import nearest

# The largest ratios, where the model holds least, are left out (Facco et al.).
_LEFT_OUT = 0.1


def two_nn(unit: np.ndarray, resolution: float = 1e-15) -> float:
    """Estimates the intrinsic dimension (Facco et al., Scientific Reports 2017).

    With the distances r_1 <= r_2 of a row to its two nearest neighbors, the ratio
    μ = r_2 / r_1 has the distribution F(μ) = 1 - μ^(-d): d is the slope of the line
    through the origin fitted to -log(1 - F) over log μ, where F is i / N for the i-th
    of N ratios in ascending order, without the largest tenth of them.

    Args:
        unit: float64 array (N, F) of unit rows.
        resolution: Float > 0, the distance up to which rows count as equal. Defaults
            to `1e-15`.

    Returns:
        Float > 0; 0 if fewer than two rows differ from their nearest neighbors, as
        those of collapsed features. Copies of other rows are left out.

    Example:

    >>> from bt_keras.scores.intrinsic_dimension import two_nn
    >>> from bt_keras.scores.nearest_rows import unit_rows
    >>> ball = np.random.default_rng(0).normal(size=(2000, 3))
    >>> 1.8 < two_nn(unit_rows(ball)) < 2.2  # A sphere.
    True
    """
    # A row that occurs several times counts once: ratios of zeros say nothing.
    unit = np.unique(unit, axis=0)
    if len(unit) < 3:
        return 0.0
    neighbors = nearest(unit, unit, 2, without_self=True)
    # From differences: cosines near 1 lose the distance to rounding.
    distances = np.sort(
        [np.linalg.norm(unit - unit[column], axis=1) for column in neighbors.T], axis=0
    )
    near, far = distances[:, distances[0] > resolution]
    if len(near) < 2:
        return 0.0
    logs = np.sort(np.log(far / near))
    kept = int(len(logs) * (1 - _LEFT_OUT))
    x, y = logs[:kept], -np.log1p(-np.arange(1, kept + 1) / len(logs))
    return float(x @ y / (x @ x)) if x.any() else 0.0
