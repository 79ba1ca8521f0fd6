"""Batches of standardized features for training, also if they do not fit in memory.

Features that fit are shuffled as a whole. Others are read in chunks of neighboring
rows into a pool, and batches are drawn from the whole pool. The chunks of a pool are
random, but each part of the file has as many as any other: every pool has its share of
each class, also if the rows are sorted by class.
"""

from __future__ import annotations

import concurrent.futures
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

    def batches():
        for epoch in itertools.count():
            pools = _pools(split, np.random.default_rng([seed, epoch]))
            for features, labels in _regrouped(pools, batch_size):
                yield _standardized(features, moments), labels

    return _dataset(batches, split, tf.data.INFINITE_CARDINALITY)


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

    return _dataset(batches, split, -(-len(split.labels) // _TEST_BATCH))


def _fits(split):
    return 4 * split.features.size <= WHOLE_BYTES


def _standardized(features, moments):
    mean, deviation = moments
    deviation = deviation.astype(np.float32) + np.float32(_EPSILON)
    return (features - mean.astype(np.float32)) / deviation


def _in_memory(split, moments):
    features = _standardized(split.read(0, len(split.labels)), moments)
    return tf.data.Dataset.from_tensor_slices((features, split.labels))


def _dataset(batches, split, length):
    signature = (
        tf.TensorSpec((None, split.features.shape[1]), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )
    made = tf.data.Dataset.from_generator(batches, output_signature=signature)
    # Keras warns of datasets of unknown length that end.
    return made.apply(tf.data.experimental.assert_cardinality(length)).prefetch(8)


def _pools(
    split: Features, generator: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields (features, labels, order) of random chunks; reads a pool in advance."""
    width = split.features.shape[1]
    rows = max(1, _CHUNK_BYTES // (4 * width))
    most = max(1, _POOL_BYTES // (4 * width * rows))
    pools = _divided(-(-len(split.labels) // rows), most, generator)

    def read(chunks):
        features = np.empty((len(chunks) * rows, width), np.float32)
        labels, count = np.empty(len(features), np.int64), 0
        for start in chunks * rows:
            chunk = split.read(start, start + rows)
            features[count : count + len(chunk)] = chunk
            labels[count : count + len(chunk)] = split.labels[start : start + rows]
            count += len(chunk)
        return features[:count], labels[:count]

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        following = thread.submit(read, pools[0])
        for next_pool in (*pools[1:], None):
            features, labels = following.result()
            if next_pool is not None:
                following = thread.submit(read, next_pool)
            yield features, labels, generator.permutation(len(labels))


def _divided(count, most, generator):
    """Divides chunks into random pools of up to `most`, each in ascending order.

    Of as many neighboring chunks as there are pools, each pool has one.
    """
    pools = -(-count // most)
    strata = np.arange(-(-count // pools) * pools).reshape(-1, pools)
    columns = generator.permuted(strata, axis=1).T
    found = [column[column < count] for column in columns]
    return [found[number] for number in generator.permutation(pools)]


def _regrouped(pools, batch_size):
    """Yields batches that continue from one pool to the next."""
    held_features, held_labels = [], []
    missing = batch_size
    for features, labels, order in pools:
        while len(order):
            rows, order = order[:missing], order[missing:]
            held_features.append(features[rows])
            held_labels.append(labels[rows])
            missing -= len(rows)
            if not missing:
                yield np.concatenate(held_features), np.concatenate(held_labels)
                held_features, held_labels, missing = [], [], batch_size
    if held_labels:
        yield np.concatenate(held_features), np.concatenate(held_labels)
