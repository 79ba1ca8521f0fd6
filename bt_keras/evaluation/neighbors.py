"""Nearest neighbors by the cosine of features, of any number of images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from bt_keras.evaluation.features import Features
from bt_keras.progress_bar import ProgressBar

# Values of the queries that are compared with the whole bank at once: 512 MiB.
_QUERY_VALUES = 2**27
# Values of a block of the bank: 128 MiB.
_BANK_VALUES = 2**25
# Entries of one block of the similarity matrix: 256 MiB.
_SIMILARITIES = 2**26


def nearest(
    queries: Features, bank: Features, k: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Finds the most similar images of a bank for each query.

    The bank is read in blocks, once for every 512 MiB of queries. Of equally similar
    images, the first ones are taken.

    Args:
        queries: `Features` of M images.
        bank: `Features` of N images.
        k: Integer in [1, N].

    Yields:
        Tuple of the similarities, float32 (B, k), in descending order, and of the
        positions in the bank, int32 (B, k), for B consecutive queries at a time.

    Example:

    >>> from bt_keras.evaluation.features import Features
    >>> from bt_keras.evaluation.neighbors import nearest
    >>> vectors = np.array([[1, 0], [0, 1], [3, 1]], "float32")
    >>> split = Features(vectors, np.zeros(3, "int64"))
    >>> [(similarities, positions)] = nearest(split, split, k=2)
    >>> positions.tolist()
    [[0, 2], [1, 2], [2, 0]]
    """
    width = bank.features.shape[1]
    count, num_queries = len(bank.labels), len(queries.labels)
    rows = min(count, max(1, _BANK_VALUES // width))
    at_once = max(1, min(_SIMILARITIES // rows, _QUERY_VALUES // width))
    group = max(at_once, _QUERY_VALUES // width // at_once * at_once)
    starts = range(0, num_queries, group)
    total = len(starts) * -(-count // rows)
    with ProgressBar("nearest neighbors", total) as progress:
        for first in starts:
            vectors = _unit(queries.read(first, first + group))
            parts = [
                vectors[start : start + at_once]
                for start in range(0, len(vectors), at_once)
            ]
            best: list = [None] * len(parts)
            for number, block in enumerate(bank.blocks(rows)):
                unit = _unit(block)
                best = [
                    _best_of(found, part, unit, number * rows, k)
                    for found, part in zip(best, parts, strict=True)
                ]
                progress.advance()
            yield from ((values.numpy(), at.numpy()) for values, at in best)


def _unit(features):
    return tf.math.l2_normalize(features, axis=1)


def _best_of(found, queries, block, offset, k):
    """Returns the k best of those that were found before and those of a block."""
    similarities = tf.matmul(queries, block, transpose_b=True)
    values, positions = tf.math.top_k(similarities, min(k, len(block)))
    positions += offset
    if found is None:
        return values, positions
    # Those of earlier blocks first: `top_k` prefers the first of equal values.
    values = tf.concat([found[0], values], axis=1)
    positions = tf.concat([found[1], positions], axis=1)
    values, order = tf.math.top_k(values, min(k, values.shape[1]))
    return values, tf.gather(positions, order, batch_dims=1)
