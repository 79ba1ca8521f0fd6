"""Pictures of a run for TensorBoard: the cross-correlation matrix."""

from __future__ import annotations

import numpy as np


def heat_map(matrix: np.ndarray) -> np.ndarray:
    """Draws numbers in [-1, 1] as colors: blue, white for 0, red.

    Args:
        matrix: Float array (H, W).

    Returns:
        uint8 array (H, W, 3).

    Example:

    >>> from bt_keras.callbacks.pictures import heat_map
    >>> heat_map(np.array([[-1.0, 0.0, 1.0]])).tolist()
    [[[0, 0, 255], [255, 255, 255], [255, 0, 0]]]
    """
    red, blue = 1 + np.minimum(matrix, 0), 1 - np.maximum(matrix, 0)
    colors = np.stack([red, np.minimum(red, blue), blue], axis=-1)
    return np.round(255 * np.clip(colors, 0, 1)).astype(np.uint8)
