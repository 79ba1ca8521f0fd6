"""Retrieval: whether images of the same class are among the nearest ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.neighbors import nearest
from bt_keras.evaluation.results import Result


class Retrieval(Evaluator):
    """Searches every test image among the other test images, by cosine similarity.

    Recall at K is the share of the images with one of the same class among their K
    nearest, as in H. Oh Song et al. (CVPR 2016). No training image is used. Images
    whose class has no other test image are left out.

    Args:
        at: Sequence of integers > 0, the numbers K of neighbors. Defaults to
            `(1, 5, 10)`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.frozen_features import FrozenBackbone
    >>> from bt_keras.evaluation.retrieval import Retrieval
    >>> source = data.load("shipped", "test[:64]")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> [(result.metric, result.n) for result in next(Retrieval((1, 5)).run(frozen))]
    [('recall@1', 64), ('recall@5', 64)]
    """

    name = "retrieval"
    config_entry = "retrieval"

    def __init__(self, at: Sequence[int] = (1, 5, 10)):
        self.at = tuple(checks.number("at", k, checks.COUNT) for k in at)

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields the recall at every K.

        Args:
            frozen: `FrozenBackbone`.

        Yields:
            List of `Result`s.

        Raises:
            UsageError: If no class has two test images.
        """
        labels = frozen.test.labels
        searched = np.bincount(labels)[labels] > 1
        if not searched.any():
            raise UsageError(
                "retrieval needs two test images of a class: "
                f"{frozen.test_source.name!r} has one of each."
            )
        # One more, for the image itself.
        most = min(max(self.at) + 1, len(labels))
        neighbors = (near for _, near in nearest(frozen.test, frozen.test, most))
        ranks = first_hits(neighbors, labels)[searched]
        yield [
            Result(self.name, f"recall@{k}", float((ranks <= k).mean()), n=len(ranks))
            for k in self.at
        ]


def first_hits(neighbors: Iterable[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Finds the rank of the nearest other image of the same class.

    Args:
        neighbors: Integer arrays (B, k), the positions of the nearest images of
            successive images, which may be among them themselves.
        labels: Integer array (N,).

    Returns:
        Float array (N,), ranks from 1, infinity where no image of the class is found.

    Example:

    >>> from bt_keras.evaluation.retrieval import first_hits
    >>> first_hits([np.array([[0, 2, 1], [1, 2, 0], [2, 1, 0]])], np.array([5, 5, 6]))
    array([ 2.,  2., inf])
    """
    ranks, first = [], 0
    for near in neighbors:
        own = np.arange(first, first + len(near))[:, np.newaxis]
        is_other = near != own
        hits = is_other & (labels[near] == labels[own])
        rank = np.cumsum(is_other, axis=1)
        ranks.append(np.where(hits, rank, np.inf).min(axis=1))
        first += len(near)
    return np.concatenate(ranks)
