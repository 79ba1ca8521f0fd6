"""Pictures of pairs of views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bt_keras.augmentation.statistics import IMAGENET, Statistics


def view_grid(
    views: Sequence | np.ndarray, statistics: Statistics = IMAGENET
) -> np.ndarray:
    """Draws pairs of views: one per column, one view above the other.

    Of images of more than three bands, the first three are drawn as red, green and
    blue; of images of two bands, the first is drawn.

    Args:
        views: `(view_a, view_b)`, two float arrays (N, H, W, C).
        statistics: `Statistics` that the views were normalized with. Defaults to those
            of ImageNet.

    Returns:
        uint8 array (2H, NW, 3), or (2H, NW, 1) of images of one or two bands.

    Example:

    >>> from bt_keras.augmentation.pictures import view_grid
    >>> view_grid(np.zeros((2, 8, 32, 32, 3))).shape
    (64, 256, 3)
    """
    rows = [np.concatenate(list(np.asarray(view)), axis=1) for view in views]
    picture = np.concatenate(rows) * statistics.deviation + statistics.mean
    picture = picture[..., : 3 if statistics.channels > 2 else 1]
    # Equal intervals for all levels but the last.
    return np.clip(255.5 * picture, 0, 255).astype(np.uint8)
