"""Batches of standardized features for training, also if they do not fit in memory.

Features that fit are shuffled as a whole. Others are read in chunks of neighboring
rows into a pool, and batches are drawn from the whole pool. The chunks of a pool are
random, but each part of the file has as many as any other: every pool has its share of
each class, also if the rows are sorted by class.
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from bt_keras.evaluation.features import Features

# Features up to this size are shuffled as a whole.
WHOLE_BYTES = 2**30
_POOL_BYTES = 2**29
# Of a chunk: small for mixing, large for the speed of the disk.
_CHUNK_BYTES = 2**17
# Threads that read the chunks of a pool: a disk is fastest with several requests.
_READERS = 8
_TEST_BATCH = 1024
_EPSILON = 1e-6

Moments = tuple[np.ndarray, np.ndarray]


def shuffled_batches(
    split: Features, moments: Moments, batch_size: int, seed: int
) -> tf.data.Dataset:
    """Makes an endless dataset of standardized features in a new order in every epoch.

    Args:
        split: `Features`.
        moments: Tuple of arrays (F,), the mean and the standard deviation.
        batch_size: Integer > 0.
        seed: Integer. Seeds the order.

    Returns:
        `tf.data.Dataset` of (float32 (M, F), int64 (M,)), ceil(N / batch_size) batches
        an epoch.

    Example:

    >>> from bt_keras.evaluation.feature_batches import shuffled_batches
    >>> from bt_keras.evaluation.features import Features
    >>> split = Features(np.array([[1.0], [3.0]], "float32"), np.arange(2))
    >>> batches = shuffled_batches(split, split.moments, batch_size=2, seed=0)
    >>> features, labels = next(iter(batches))
    >>> sorted(features.numpy().ravel().round(3))
    [np.float32(-1.0), np.float32(1.0)]
    """
    if _fits(split):
        order = _in_memory(split, moments).shuffle(len(split.labels), seed=seed)
        return order.batch(batch_size).repeat()

    def pools():
        for epoch in itertools.count():
            generator = np.random.default_rng([seed, epoch])
            yield from _pools(split, moments, batch_size, generator)

    # Rows are gathered by TensorFlow: a batch from Python would wait for its lock.
    signature = (*_signature(split), tf.TensorSpec((None,), tf.int64))
    made = tf.data.Dataset.from_generator(pools, output_signature=signature)
    made = made.flat_map(
        lambda features, labels, order: _batches_of(features, labels, order, batch_size)
    )
    return _finished(made, tf.data.INFINITE_CARDINALITY)


def ordered_batches(split: Features, moments: Moments) -> tf.data.Dataset:
    """Makes a dataset of one epoch of standardized features in their order.

    Args:
        split: `Features`.
        moments: Tuple of arrays (F,), the mean and the standard deviation.

    Returns:
        `tf.data.Dataset` of (float32 (M, F), int64 (M,)).
    """
    if _fits(split):
        return _in_memory(split, moments).batch(_TEST_BATCH)

    def batches():
        start = 0
        for features in split.blocks(_TEST_BATCH):
            labels = split.labels[start : start + len(features)]
            start += len(features)
            yield _standardized(features, moments), labels

    made = tf.data.Dataset.from_generator(batches, output_signature=_signature(split))
    return _finished(made, -(-len(split.labels) // _TEST_BATCH))


def _fits(split):
    return 4 * split.features.size <= WHOLE_BYTES


def _standardized(features, moments, out=None):
    mean, deviation = moments
    deviation = deviation.astype(np.float32) + np.float32(_EPSILON)
    centered = np.subtract(features, mean.astype(np.float32), out=out)
    return np.divide(centered, deviation, out=centered)


def _in_memory(split, moments):
    features = _standardized(split.read(0, len(split.labels)), moments)
    return tf.data.Dataset.from_tensor_slices((features, split.labels))


def _signature(split):
    return (
        tf.TensorSpec((None, split.features.shape[1]), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )


def _finished(dataset, length):
    # Keras warns of datasets of unknown length that end.
    return dataset.apply(tf.data.experimental.assert_cardinality(length)).prefetch(8)


def _batches_of(features, labels, order, batch_size):
    """Returns a dataset of the rows of a pool in an order."""

    def batch(start):
        rows = order[start : start + batch_size]
        return tf.gather(features, rows), tf.gather(labels, rows)

    count = tf.size(order, tf.int64)
    return tf.data.Dataset.range(0, count, batch_size).map(batch)


def _pools(
    split: Features,
    moments: Moments,
    batch_size: int,
    generator: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields (features, labels, order) of random chunks; reads a pool in advance.

    The rows that are left over after the last whole batch belong to the next pool.
    """
    width = split.features.shape[1]
    rows = max(1, _CHUNK_BYTES // (4 * width))
    most = max(1, _POOL_BYTES // (4 * width * rows))
    pools = _divided(-(-len(split.labels) // rows), most, generator)
    with (
        concurrent.futures.ThreadPoolExecutor(1) as thread,
        concurrent.futures.ThreadPoolExecutor(_READERS) as readers,
    ):
        read = functools.partial(_read, split, moments, rows, readers)
        first = 0  # The rows of the last pool.
        following = thread.submit(read, pools[0], (np.empty((0, width)), []))
        for next_pool in (*pools[1:], None):
            features, labels = following.result()
            new = first + generator.permutation(len(labels) - first)
            order = np.concatenate([np.arange(first), new])
            if next_pool is not None:
                whole = len(order) // batch_size * batch_size
                order, left = order[:whole], order[whole:]
                rest, first = (features[left], labels[left]), len(left)
                following = thread.submit(read, next_pool, rest)
            yield features, labels, order


def _read(split, moments, rows, readers, chunks, rest):
    """Reads chunks of rows, in ascending order, after the rest of the last pool.

    Returns:
        Tuple of the standardized features and the labels.
    """
    # Only the last chunk of the file, and so of the pool, may be shorter.
    positions = (chunks[:, np.newaxis] * rows + np.arange(rows)).ravel()
    labels = split.labels[positions[positions < len(split.labels)]]
    first, width = len(rest[1]), split.features.shape[1]
    features = np.empty((first + len(labels), width), np.float32)
    features[:first] = rest[0]

    def fill(numbers):
        for number in numbers:
            part = features[first + number * rows :][:rows]
            split.read_into(chunks[number] * rows, part)
            _standardized(part, moments, out=part)

    shares = np.array_split(np.arange(len(chunks)), 4 * _READERS)
    for _ in readers.map(fill, shares):
        pass
    return features, np.concatenate([rest[1], labels]).astype(np.int64)


def _divided(count, most, generator):
    """Divides chunks into random pools of up to `most`, each in ascending order.

    Of as many neighboring chunks as there are pools, each pool has one.
    """
    pools = -(-count // most)
    strata = np.arange(-(-count // pools) * pools).reshape(-1, pools)
    columns = generator.permuted(strata, axis=1).T
    found = [column[column < count] for column in columns]
    return [found[number] for number in generator.permutation(pools)]
