import math

import pytest

from bt_keras.evaluation.intervals import wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_of_the_literature(hits, n, low, high):
    """R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(hits / n, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 3), (1685, 2000), (7, 7)])
@pytest.mark.parametrize(("confidence", "z"), [(0.95, 1.959964), (0.99, 2.575829)])
def test_the_ends_are_where_the_score_test_rejects(hits, n, confidence, z):
    """|share - p| = z sqrt(p (1 - p) / n), solved by bisection."""
    share = hits / n

    def root(outside):
        inside = share
        for _ in range(200):
            p = (inside + outside) / 2
            is_rejected = abs(share - p) > z * math.sqrt(p * (1 - p) / n)
            inside, outside = (inside, p) if is_rejected else (p, outside)
        return inside

    found = wilson(share, n, confidence)
    assert found == pytest.approx((root(0.0), root(1.0)), abs=1e-6)
