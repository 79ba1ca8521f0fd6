"""Spectra of tall and of wide matrices, from the smaller of both Gram matrices."""

from __future__ import annotations

import numpy as np

from bt_keras.scores.rows import blocks


def eigenvalues(rows: np.ndarray, centered: bool = False) -> np.ndarray:
    """Computes the eigenvalues of XᵀX, in blocks of the rows X.

    They are the squares of X's singular values. XᵀX (F, F) or XXᵀ (N, N) is computed,
    whichever is smaller, in float64: singular values below 1e-8 of the largest one are
    rounding errors.

    Args:
        rows: Array (N, F) of numbers, which may be a `np.memmap`.
        centered: Boolean, whether the mean of every column is subtracted. Defaults to
            `False`.

    Returns:
        float64 array (min(N, F),), in descending order.

    Raises:
        UsageError: If a number is NaN or infinite.

    Example:

    >>> from bt_keras.scores.spectrum import eigenvalues
    >>> eigenvalues(np.diag([1.0, 3.0, 2.0]))
    array([9., 4., 1.])
    """
    count, width = rows.shape
    gram = np.zeros((min(count, width),) * 2)
    if count >= width:
        mean = column_means(rows) if centered else 0.0
        for block in blocks(rows):
            block = block - mean
            gram += block.T @ block
    else:
        # Checks the rows, too: below, a block consists of columns.
        mean = column_means(rows) * centered
        if isinstance(rows, np.memmap):  # A block of columns would read the whole file.
            rows = np.array(rows)
        start = 0
        for columns in blocks(rows.T):
            columns = columns - mean[start : start + len(columns), np.newaxis]
            gram += columns.T @ columns
            start += len(columns)
    return np.maximum(np.linalg.eigvalsh(gram)[::-1], 0)


def column_means(rows: np.ndarray) -> np.ndarray:
    """Returns the mean of every column, float64 (F,).

    Args:
        rows: Array (N, F) of numbers, which may be a `np.memmap`.
    """
    total = np.zeros(rows.shape[1])
    for block in blocks(rows):
        total += block.sum(axis=0)
    return total / len(rows)


def entropy_rank(values: np.ndarray, epsilon: float) -> float:
    """Computes exp(-Σ p log p) of the shares p = values / Σ values + epsilon.

    Args:
        values: float64 array, not negative.
        epsilon: Float > 0.

    Returns:
        Float, about the number of values that are not small; 0 if all are 0.

    Example:

    >>> from bt_keras.scores.spectrum import entropy_rank
    >>> round(entropy_rank(np.array([2.0, 2.0, 0.0]), 1e-7), 4)
    2.0
    """
    total = values.sum()
    if total == 0:
        return 0.0
    shares = values / total + epsilon
    return float(np.exp(-np.sum(shares * np.log(shares))))
