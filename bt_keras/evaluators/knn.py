"""Weighted nearest neighbours (Wu et al., arXiv 1805.01978, section 3.4)."""

import tensorflow as tf

from bt_keras.errors import UsageError

_CHUNK = 1024  # Test images at a time: bounds the matrix of similarities.


class KNN:
    """Classifies test images by a vote of their nearest training images.

    The similarity s is the cosine of the features; each of the k most similar
    training images votes for its class with weight exp(s / temperature).

    Args:
        k: int > 0, number of neighbours; at most all training images are used.
        temperature: float > 0.

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

    def run(self, frozen):
        """Yields `("top1", value)` and `("top5", value)`, fractions of the test images.

        Args:
            frozen: `FrozenBackbone`.
        """
        train, test = frozen.train, frozen.test
        bank = tf.math.l2_normalize(train.features, axis=1)
        queries = tf.math.l2_normalize(test.features, axis=1)
        k = min(self.k, len(train.labels))
        hits = {1: 0.0, 5: 0.0}
        for start in range(0, len(test.labels), _CHUNK):
            part = slice(start, start + _CHUNK)
            votes = weighted_votes(
                queries[part],
                bank,
                train.labels,
                frozen.num_classes,
                k,
                self.temperature,
            )
            for top in hits:
                correct = tf.math.in_top_k(
                    test.labels[part], votes, min(top, frozen.num_classes)
                )
                hits[top] += tf.reduce_sum(tf.cast(correct, tf.float64)).numpy()
        for top, count in hits.items():
            yield f"top{top}", count / len(test.labels)


def weighted_votes(queries, bank, labels, num_classes, k, temperature):
    """Sums the votes of each query's k nearest neighbours.

    Args:
        queries: float32 Tensor (M, F) of unit rows.
        bank: float32 Tensor (N, F) of unit rows.
        labels: int64 array (N,), the bank's classes in [0, num_classes).
        num_classes: int.
        k: int in [1, N].
        temperature: float > 0.

    Returns:
        float32 Tensor (M, num_classes): sums of exp((s - 1) / temperature), s - 1
        where the paper has s, so that no temperature overflows.
    """
    similarities = tf.matmul(queries, bank, transpose_b=True)
    nearest, indices = tf.math.top_k(similarities, k)
    classes = tf.gather(tf.one_hot(labels, num_classes), indices)
    weights = tf.exp((nearest - 1.0) / temperature)
    return tf.einsum("mk,mkc->mc", weights, classes)
