"""k-means by Lloyd's iterations, started by k-means++."""

from __future__ import annotations

import numpy as np

_ITERATIONS = 100


def k_means(rows: np.ndarray, clusters: int, seed: int = 0) -> np.ndarray:
    """Divides rows into clusters.

    The first centers are drawn as by k-means++ (Arthur and Vassilvitskii, 2007). An
    empty cluster takes the row that is farthest from its center.

    Args:
        rows: Float array (N, F).
        clusters: Integer in [1, N].
        seed: Integer. Defaults to `0`.

    Returns:
        int64 array (N,), the cluster of each row. Fewer clusters than asked for if
        there are fewer different rows.

    Example:

    >>> from bt_keras.scores.k_means import k_means
    >>> labels = k_means(np.array([[0.0], [9.0], [0.1], [9.1]]), clusters=2)
    >>> bool(labels[0] == labels[2] != labels[1] == labels[3])
    True
    """
    centers = _first_centers(rows, clusters, np.random.default_rng(seed))
    labels = np.full(len(rows), -1)
    for _ in range(_ITERATIONS):
        squares = _squares(rows, centers)
        nearest = squares.argmin(axis=1)
        if np.array_equal(nearest, labels):
            break
        labels = _fill_empty(nearest, squares)
        centers = _means(rows, labels, centers)
    return labels


def _first_centers(rows, clusters, rng):
    chosen = [int(rng.integers(len(rows)))]
    squares = _squares(rows, rows[chosen])[:, 0]
    while len(chosen) < clusters and squares.any():
        chosen.append(int(rng.choice(len(rows), p=squares / squares.sum())))
        squares = np.minimum(squares, _squares(rows, rows[chosen[-1:]])[:, 0])
    return rows[chosen]


def _squares(rows, centers):
    """Returns the squared distances (N, K), from products of matrices."""
    lengths = np.square(rows).sum(axis=1, keepdims=True)
    squares = lengths - 2 * (rows @ centers.T) + np.square(centers).sum(axis=1)
    # What is left of equal rows is rounding.
    return np.where(squares > 1e-12 * lengths, squares, 0)


def _fill_empty(labels, squares):
    labels = labels.copy()
    counts = np.bincount(labels, minlength=squares.shape[1])
    distance = squares[np.arange(len(labels)), labels]
    for cluster in np.flatnonzero(counts == 0):
        farthest = int(np.where(counts[labels] > 1, distance, -1).argmax())
        if distance[farthest] <= 0:
            break
        counts[labels[farthest]] -= 1
        labels[farthest], counts[cluster], distance[farthest] = cluster, 1, 0
    return labels


def _means(rows, labels, centers):
    members = labels == np.arange(len(centers))[:, np.newaxis]
    counts = members.sum(axis=1, keepdims=True)
    means = members.astype(rows.dtype) @ rows / np.maximum(counts, 1)
    return np.where(counts > 0, means, centers)
