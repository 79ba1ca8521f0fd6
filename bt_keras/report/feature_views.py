"""What features say about single images: neighbors, a map, a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bt_keras.evaluation.knn import ranked_classes
from bt_keras.evaluation.neighbors import nearest
from bt_keras.report.contents import Confusion, FeatureMap, NeighborRow, Picture
from bt_keras.report.network import Samples
from bt_keras.report.projection import two_dimensions
from bt_keras.report.thumbnails import thumbnails

_ROWS = 10
_NEIGHBORS = 8
# Images and classes of the map, and classes of the confusion matrix.
_MAP_IMAGES = 500
_MAP_CLASSES = 10
_CONFUSED_CLASSES = 30
# Pixels of an image on the page.
_SIDE = 48


def similar(samples: Samples, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the most similar training images of every query.

    Args:
        samples: `Samples`.
        k: Integer > 0, the number of neighbors, at most all training images.

    Returns:
        `(similarities, positions)`, arrays (M, k).
    """
    count = min(k, samples.bank.num_images)
    parts = nearest(samples.query_features, samples.bank_features, count)
    similarities, positions = map(np.concatenate, zip(*parts, strict=True))
    return similarities, positions


def neighbor_rows(
    samples: Samples, similarities: np.ndarray, positions: np.ndarray
) -> tuple[NeighborRow, ...]:
    """Shows the neighbors of the first image of each class, or of the first images.

    Args:
        samples: `Samples`.
        similarities: Float array (M, k), in descending order.
        positions: Integer array (M, k), positions of training images.

    Returns:
        Tuple of `NeighborRow`.
    """
    labels = samples.query_features.labels
    if samples.queries.class_names is None:
        rows = np.arange(min(_ROWS, len(labels)))
    else:
        rows = np.unique(labels, return_index=True)[1][:_ROWS]
    found = positions[rows, :_NEIGHBORS]
    queries = _pictures(samples.queries, labels, rows)
    bank = _pictures(samples.bank, samples.bank_features.labels, found.ravel())
    return tuple(
        NeighborRow(
            queries[row],
            tuple(bank[position] for position in line),
            tuple(similarities[row, :_NEIGHBORS].astype(float)),
        )
        for row, line in zip(rows, found, strict=True)
    )


def feature_map(samples: Samples) -> FeatureMap:
    """Maps the features of some images to two dimensions.

    Args:
        samples: `Samples`.

    Returns:
        `FeatureMap`, of the ten most frequent classes if there are more.
    """
    labels = samples.query_features.labels
    shown = np.flatnonzero(np.isin(labels, most_frequent(labels, _MAP_CLASSES)))
    chosen = np.unique(np.linspace(0, len(shown) - 1, _MAP_IMAGES).astype(int))
    rows = shown[chosen]
    features = samples.query_features.read(0, len(labels))[rows]
    method, points = two_dimensions(features)
    pictures = _pictures(samples.queries, labels, rows)
    return FeatureMap(method, points, tuple(pictures[row] for row in rows))


def most_frequent(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns the labels that occur most often, in descending order of their numbers.

    Args:
        labels: Integer array (N,).
        count: Integer > 0, how many to return at most.

    Example:

    >>> from bt_keras.report.feature_views import most_frequent
    >>> most_frequent(np.array([5, 7, 7, 5, 9, 7]), 2)
    array([7, 5])
    """
    found, numbers = np.unique(labels, return_counts=True)
    return found[np.argsort(-numbers, kind="stable")[:count]]


def confusion(
    samples: Samples,
    similarities: np.ndarray,
    positions: np.ndarray,
    temperature: float,
) -> Confusion:
    """Counts what kNN takes the images of each class for.

    Args:
        samples: `Samples`.
        similarities: Float array (M, k), in descending order.
        positions: Integer array (M, k), positions of training images.
        temperature: Float > 0, temperature of the vote.

    Returns:
        `Confusion`.

    Raises:
        UsageError: If the images have no labels.
    """
    samples.queries.require_labels("the confusion matrix")
    names = samples.queries.class_names
    labels = samples.bank_features.labels[positions]
    ranked = ranked_classes(similarities, labels, len(names), temperature)
    counts = count_pairs(samples.query_features.labels, ranked[:, 0], len(names))
    return most_confused(counts, names)


def most_confused(counts: np.ndarray, names: Sequence[str]) -> Confusion:
    """Selects the classes with the most errors if there are many.

    Args:
        counts: Integer array (K, K), a row for each class of the images.
        names: Sequence of K strings.

    Returns:
        `Confusion` of up to 30 classes.
    """
    errors = counts.sum(axis=1) - np.diag(counts)
    most = np.sort(np.argsort(-errors, kind="stable")[:_CONFUSED_CLASSES])
    classes = tuple(names[number] for number in most)
    return Confusion(classes, counts[np.ix_(most, most)], len(names))


def count_pairs(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts how often each label occurs with each prediction.

    Args:
        labels: Integer array (N,) with values in [0, classes).
        predicted: Integer array (N,) with values in [0, classes).
        classes: Integer > 0.

    Returns:
        Integer array (classes, classes), a row for each label.

    Example:

    >>> from bt_keras.report.feature_views import count_pairs
    >>> count_pairs(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    pairs = np.bincount(labels * classes + predicted, minlength=classes**2)
    return pairs.reshape(classes, classes)


def _pictures(source, labels, positions):
    """Returns a dict from positions to `Picture`s."""
    names = source.class_names
    return {
        position: Picture(uri, "" if names is None else names[labels[position]])
        for position, uri in thumbnails(source, positions, _SIDE).items()
    }
