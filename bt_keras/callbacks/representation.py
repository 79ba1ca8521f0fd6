"""Statistics of features and embeddings of a batch, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# As in the loss, see `bt_keras.losses.standardize`.
_EPSILON = 1e-5
# Columns that are in float64 at a time.
_BLOCK = 1024
# A dimension whose range is this share of the largest feature is constant.
_CONSTANT = 1e-6


def feature_std(features: np.ndarray) -> float:
    """Computes the standard deviation of normalized features.

    Every row is divided by its norm; then the standard deviations of the columns are
    averaged. They are 1/√F for rows in random directions, and 0 for equal rows.

    Args:
        features: Float array (N, F).

    Returns:
        Float >= 0.

    Example:

    >>> from bt_keras.callbacks import representation
    >>> representation.feature_std(np.array([[2.0, 0.0], [0.0, 3.0]]))
    0.5
    """
    norms = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return float(np.std(features / np.where(norms > 0, norms, 1.0), axis=0).mean())


def dead_share(features: np.ndarray) -> float:
    """Computes the share of dimensions that are the same for all rows.

    Args:
        features: Float array (N, F).

    Returns:
        Float in [0, 1].

    Example:

    >>> from bt_keras.callbacks import representation
    >>> representation.dead_share(np.array([[0.0, 2.0], [0.0, 3.0]]))
    0.5
    """
    limit = _CONSTANT * np.abs(features).max()
    return float(np.mean(np.ptp(features, axis=0) <= limit))


def diagonal(z_a: np.ndarray, z_b: np.ndarray) -> np.ndarray:
    """Computes the diagonal of the cross-correlation matrix C, without the matrix.

    It needs O(N D) operations, and memory for the embeddings and one block of columns.

    Args:
        z_a: Float array (N, D), the embeddings of one view.
        z_b: Float array (N, D), those of the other view.

    Returns:
        Float64 array (D,).

    Example:

    >>> from bt_keras.callbacks import representation
    >>> z = np.array([[1.0, 2.0], [2.0, -1.0], [3.0, 2.0], [4.0, -1.0]])
    >>> representation.diagonal(z, -z).round(3)
    array([-1., -1.])
    """
    products = (np.mean(a * b, axis=0) for a, b in _standardized_blocks(z_a, z_b))
    return np.concatenate(list(products))


def correlations(z_a: np.ndarray, z_b: np.ndarray, count: int) -> np.ndarray:
    """Computes the first rows and columns of the cross-correlation matrix C.

    Args:
        z_a: Float array (N, D), the embeddings of one view.
        z_b: Float array (N, D), those of the other view.
        count: Integer > 0, the largest number of rows and columns.

    Returns:
        Float64 array (min(count, D), min(count, D)).
    """
    a, b = (_standardized(z[:, :count]) for z in (z_a, z_b))
    return a.T @ b / len(a)


def off_diagonal(redundancy: float, width: int) -> float:
    """Computes the root mean square of C beside its diagonal, from the loss's term.

    Args:
        redundancy: Float >= 0, `Σᵢ Σⱼ≠ᵢ Cᵢⱼ²`, which the loss computes without C.
        width: Integer > 0, the columns D.

    Returns:
        Float in [0, 1], 0 for one column.

    Example:

    >>> from bt_keras.callbacks import representation
    >>> representation.off_diagonal(redundancy=0.5, width=2)
    0.5
    """
    return float(np.sqrt(redundancy / max(width * (width - 1), 1)))


def _standardized_blocks(*views: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, views[0].shape[1], _BLOCK):
        yield tuple(_standardized(z[:, start : start + _BLOCK]) for z in views)


def _standardized(z: np.ndarray) -> np.ndarray:
    z = z.astype(np.float64)
    return (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + _EPSILON)
