"""Weighted nearest neighbours (Wu et al., arXiv 1805.01978, section 3.4)."""

import numpy as np
import tensorflow as tf

from bt_keras.errors import UsageError

# Entries of one block of the matrix of similarities: 256 MiB of float32.
_BLOCK = 2**26


class KNN:
    """Classifies test images by a vote of their nearest training images.

    The similarity s is the cosine of the features; each of the k most similar
    training images votes for its class with weight exp(s / temperature). A class
    that no neighbour votes for counts as a miss, so that top-5 is not handed out
    for ties at zero.

    Args:
        k: int > 0, number of neighbours; at most all training images are used.
        temperature: float > 0.

    Raises:
        UsageError: for values out of these ranges.

    Example:

    >>> dict(KNN(k=200, temperature=0.1).run(frozen_backbone))
    {'top1': 0.75, 'top5': 0.99}
    """

    name = "knn"

    def __init__(self, k=200, temperature=0.1):
        if k < 1:
            raise UsageError(f"k={k}: the vote needs at least 1 neighbour.")
        if not temperature > 0:
            raise UsageError(f"temperature={temperature} must be greater than 0.")
        self.k = k
        self.temperature = temperature
        self.settings = f"k={k}, temperature={temperature:g}"

    def run(self, frozen):
        """Yields `("top1", value)` and `("top5", value)`, fractions of the test images.

        Args:
            frozen: `FrozenBackbone`.
        """
        train, test = frozen.train, frozen.test
        bank = tf.math.l2_normalize(train.features, axis=1)
        queries = tf.math.l2_normalize(test.features, axis=1)
        k = min(self.k, len(train.labels))
        block = max(1, _BLOCK // len(train.labels))
        ranked = [
            ranked_classes(
                queries[start : start + block],
                bank,
                train.labels,
                frozen.num_classes,
                k,
                self.temperature,
            )
            for start in range(0, len(test.labels), block)
        ]
        hits = np.concatenate(ranked) == test.labels[:, np.newaxis]
        for top in (1, 5):
            yield f"top{top}", float(hits[:, :top].any(axis=1).mean())


def ranked_classes(queries, bank, labels, num_classes, k, temperature):
    """Ranks the classes that each query's k nearest neighbours vote for.

    Args:
        queries: float32 Tensor (M, F) of unit rows.
        bank: float32 Tensor (N, F) of unit rows.
        labels: int64 array (N,), the bank's classes in [0, num_classes).
        num_classes: int.
        k: int in [1, N].
        temperature: float > 0.

    Returns:
        int array (M, min(5, num_classes)), the classes with the most votes first,
        -1 where there is no further class with a vote.
    """
    similarities = tf.matmul(queries, bank, transpose_b=True)
    nearest, indices = tf.math.top_k(similarities, k)
    # Relative to the nearest: the ranking is the same, and at no temperature do all
    # votes overflow or vanish.
    weights = tf.exp((nearest - nearest[:, :1]) / temperature)
    votes = tf.math.bincount(
        tf.gather(tf.cast(labels, tf.int32), indices),
        weights=weights,
        minlength=num_classes,
        maxlength=num_classes,
        axis=-1,
    )
    best, classes = tf.math.top_k(votes, min(5, num_classes))
    return np.where(best > 0, classes, -1)
