"""Weighted nearest neighbors (Wu et al., arXiv 1805.01978, section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from bt_keras import checks
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.neighbors import nearest
from bt_keras.evaluation.results import Result


class KNN(Evaluator):
    """Classifies test images by a vote of their nearest training images.

    The similarity s is the cosine of the features; each of the k most similar
    training images votes for its class with weight exp(s / temperature). A class
    without votes counts as a miss, so that top-5 accuracy does not profit from ties
    at zero.

    Args:
        k: Integer > 0, number of neighbors that vote, at most all training images.
            Defaults to `200`.
        temperature: Float > 0, temperature of the vote. Defaults to `0.1`.

    Raises:
        UsageError: If an argument is out of range.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.frozen_features import FrozenBackbone
    >>> from bt_keras.evaluation.knn import KNN
    >>> source = data.load("shipped", "test[:64]")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> [top1, top5] = next(KNN(k=1).run(frozen))
    >>> top1.metric, top1.n
    ('top1', 64)
    """

    name = "knn"
    config_entry = "knn"

    def __init__(self, k: int = 200, temperature: float = 0.1):
        self.k = checks.number("k", k, checks.COUNT)
        self.temperature = checks.number("temperature", temperature, checks.POSITIVE)

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields the top-1 and the top-5 accuracy.

        Args:
            frozen: `FrozenBackbone`.

        Yields:
            List of two `Result`s.
        """
        train, test = frozen.train, frozen.test
        ranked = [
            ranked_classes(
                similarities,
                train.labels[positions],
                frozen.num_classes,
                self.temperature,
            )
            for similarities, positions in nearest(
                test, train, min(self.k, len(train.labels))
            )
        ]
        hits = np.concatenate(ranked) == test.labels[:, np.newaxis]
        settings = {"k": self.k, "temperature": self.temperature}
        yield [
            Result(
                self.name,
                f"top{top}",
                float(hits[:, :top].any(axis=1).mean()),
                n=len(hits),
                settings=settings,
            )
            for top in (1, 5)
        ]


def ranked_classes(
    similarities: np.ndarray, labels: np.ndarray, num_classes: int, temperature: float
) -> np.ndarray:
    """Ranks the classes by the votes of each query's nearest neighbors.

    Args:
        similarities: float32 array (M, k), in descending order.
        labels: Integer array (M, k), the neighbors' classes in [0, num_classes).
        num_classes: Integer.
        temperature: Float > 0.

    Returns:
        Integer array (M, min(5, num_classes)), the classes with the most votes first,
        -1 in place of classes without a vote.

    Example:

    >>> from bt_keras.evaluation.knn import ranked_classes
    >>> similarities, labels = np.array([[0.9, 0.8]], "float32"), np.array([[3, 4]])
    >>> ranked_classes(similarities, labels, 5, temperature=0.1).tolist()
    [[3, 4, -1, -1, -1]]
    """
    # Similarities relative to the nearest neighbor give the same ranking, and the
    # weights neither overflow nor all vanish at any temperature.
    weights = tf.exp((similarities - similarities[:, :1]) / temperature)
    votes = tf.math.bincount(
        tf.cast(labels, tf.int32),
        weights=weights,
        minlength=num_classes,
        maxlength=num_classes,
        axis=-1,
    )
    best, classes = tf.math.top_k(votes, min(5, num_classes))
    return np.where(best > 0, classes, -1)
