"""Subsets of a source's labeled images."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from bt_keras.data import Source
from bt_keras.data import source as source_module
from bt_keras.data.shuffle import epoch_order, shuffle_blocks

# Records that are read to estimate the size of all.
_SAMPLED_RECORDS = 100


def read_labels(source: Source) -> np.ndarray:
    """Reads the labels of all images without decoding the images.

    Args:
        source: `bt_keras.data.Source` with labels.

    Returns:
        int64 array (N,), in file order.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.label_subsets import read_labels
    >>> read_labels(data.load("shipped", "test")).shape
    (2000,)
    """
    labels = source.records().map(lambda record: tf.cast(record["label"], tf.int64))
    return np.concatenate(list(labels.batch(4096).as_numpy_iterator()))


def balanced_subset(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draws the same share of every class, and at least one image of each class.

    Args:
        labels: Integer array (N,).
        share: Float in (0, 1].
        seed: Integer.

    Returns:
        int64 array of positions in `labels`, ascending.

    Example:

    >>> from bt_keras.evaluation.label_subsets import balanced_subset
    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> labels[balanced_subset(labels, 0.5, seed=0)]
    array([0, 0, 1])
    """
    generator = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        count = max(1, round(share * len(positions)))
        drawn.append(generator.permutation(positions)[:count])
    return np.sort(np.concatenate(drawn))


def take_subset(source: Source, positions: np.ndarray) -> Source:
    """Makes a source of some of a source's images.

    Their undecoded records are kept in memory if they fit into 1 GiB. Otherwise every
    epoch reads the whole source and skips the other records.

    Args:
        source: `bt_keras.data.Source`.
        positions: Integer array, ascending positions in file order.

    Returns:
        `bt_keras.data.Source` of `len(positions)` images in the same order.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.label_subsets import take_subset
    >>> source = data.load("shipped", "test")
    >>> take_subset(source, np.array([0, 5, 9])).num_images
    3
    """
    count = len(positions)
    if count == source.num_images:
        return source
    chosen = np.zeros(source.num_images, bool)
    chosen[positions] = True
    chosen = tf.constant(chosen)

    def in_order(first=0):
        records = source.records().enumerate()
        records = records.filter(lambda position, _: chosen[position])
        return records.map(lambda _, record: record).skip(first)

    bytes_each = _bytes_each(in_order())
    if count * bytes_each <= source_module.IN_MEMORY_BYTES:
        records = _records_in_memory(
            in_order().batch(count).get_single_element(), count
        )
    else:
        records = _streamed_records(in_order, count, bytes_each)
    # The digest is that of all images.
    return dataclasses.replace(source, num_images=count, records=records, digest=None)


def _bytes_each(records):
    sampled = [
        sum(_num_bytes(value) for value in tf.nest.flatten(record))
        for record in records.take(_SAMPLED_RECORDS)
    ]
    return max(1, round(np.mean(sampled)))


def _num_bytes(value):
    if value.dtype == tf.string:
        return int(tf.reduce_sum(tf.strings.length(value)))
    return value.dtype.size * int(tf.size(value))


def _records_in_memory(table, count):
    def records(shuffle_seed=None, first=0):
        order = tf.range(tf.constant(count, tf.int64))
        if shuffle_seed is not None:
            order = epoch_order(count, shuffle_seed)
        rows = tf.nest.map_structure(lambda column: tf.gather(column, order), table)
        return tf.data.Dataset.from_tensor_slices(rows).skip(first)

    return records


def _streamed_records(in_order, count, bytes_each):
    def records(shuffle_seed=None, first=0):
        if shuffle_seed is None:
            return in_order(first)
        return shuffle_blocks(in_order, count, bytes_each, shuffle_seed, first)

    return records
