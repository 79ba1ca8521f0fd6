"""Pictures of pairs of views."""

import numpy as np
import pytest

from bt_keras.augmentation import Statistics
from bt_keras.augmentation.pictures import view_grid


@pytest.mark.parametrize(("bands", "drawn"), [(1, 1), (2, 1), (3, 3), (5, 3)])
def test_one_pair_per_column(bands, drawn):
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (2, 4, 6, 5, bands))
    mean, deviation = rng.uniform(0.2, 0.5, (2, bands))
    views = (levels / 255 - mean) / deviation
    grid = view_grid(views, Statistics(tuple(mean), tuple(deviation)))
    assert grid.shape == (12, 20, drawn)
    for view in range(2):
        for pair in range(4):
            part = grid[6 * view : 6 * view + 6, 5 * pair : 5 * pair + 5]
            np.testing.assert_array_equal(part, levels[view, pair, ..., :drawn])
