"""Nearest neighbors among unit rows, in blocks."""

from __future__ import annotations

import numpy as np

# Rows whose similarities to all others are held at once.
_ROWS = 1024


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Returns the rows divided by their lengths, float64; rows of zeros stay."""
    rows = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def nearest(
    queries: np.ndarray, bank: np.ndarray, k: int, without_self: bool = False
) -> np.ndarray:
    """Finds the most similar rows of a bank by their cosine.

    Args:
        queries: float64 array (M, F) of unit rows.
        bank: float64 array (N, F) of unit rows.
        k: Integer in [1, N], in [1, N - 1] without the row itself.
        without_self: Boolean, whether the queries are the bank, and a row is not its
            own neighbor. Defaults to `False`.

    Returns:
        Integer array (M, k), positions in the bank, the most similar first.

    Example:

    >>> from bt_keras.scores.nearest_rows import nearest, unit_rows
    >>> rows = unit_rows(np.array([[1, 0], [1, 0.1], [0, 1]]))
    >>> nearest(rows, rows, 1, without_self=True).ravel().tolist()
    [1, 0, 1]
    """
    found = []
    for start in range(0, len(queries), _ROWS):
        block = queries[start : start + _ROWS]
        similar = block @ bank.T
        if without_self:
            at = np.arange(len(block))
            similar[at, start + at] = -np.inf
        best = np.argpartition(-similar, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(similar, best, 1), axis=1, kind="stable")
        found.append(np.take_along_axis(best, order, 1))
    return np.concatenate(found)
