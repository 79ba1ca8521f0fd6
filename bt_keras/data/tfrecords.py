"""Read TFRecord files of a TFDS data set in order or shuffled, from any position."""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf

from bt_keras.data.shuffle import epoch_order, fold_in

# Number of shuffled files that are interleaved, and of successive records of a file.
_GROUP_FILES = 16
_BLOCK_LENGTH = 16


def read_examples(
    instructions: Sequence,
    shuffle_seed: tf.Tensor | None = None,
    first: int | tf.Tensor = 0,
) -> tf.data.Dataset:
    """Reads serialized examples.

    Shuffled files are divided into groups. The files of a group are interleaved, and
    the groups are read one after the other. The number of records before each group is
    therefore known, and groups before the first record are skipped without opening
    their files.

    Args:
        instructions: Sequence of `tfds.core.utils.shard_utils.FileInstruction`.
        shuffle_seed: Integer tensor of shape `(2,)` that determines the order of the
            files, or None for their own order. Defaults to `None`.
        first: Integer or scalar int64 tensor. Position in the order to begin at.
            Defaults to `0`.

    Returns:
        `tf.data.Dataset` of scalar strings.
    """
    files, skipped = files_from(instructions, shuffle_seed, first)
    group_size = 1 if shuffle_seed is None else _GROUP_FILES
    groups = tf.data.Dataset.from_tensor_slices(files).batch(group_size)
    return groups.flat_map(_interleave).skip(tf.cast(first, tf.int64) - skipped)


def files_from(
    instructions: Sequence,
    shuffle_seed: tf.Tensor | None = None,
    first: int | tf.Tensor = 0,
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """Lists the files of `read_examples`, from the group with record `first` on.

    Args:
        instructions: See `read_examples`.
        shuffle_seed: See `read_examples`.
        first: See `read_examples`.

    Returns:
        `(files, skipped)`: the columns path, skip and take, and the number of records
        before these files.
    """
    files = {
        "path": tf.constant([os.fspath(i.filename) for i in instructions]),
        "skip": tf.constant([i.skip for i in instructions], tf.int64),
        "take": tf.constant([i.take for i in instructions], tf.int64),
    }
    group_size = 1
    if shuffle_seed is not None:
        order = epoch_order(len(instructions), fold_in(shuffle_seed, -1))
        files = {key: tf.gather(column, order) for key, column in files.items()}
        group_size = _GROUP_FILES
    first = tf.cast(first, tf.int64)
    starts = tf.cumsum(files["take"], exclusive=True)[::group_size]
    group = tf.searchsorted(starts, [first], side="right")[0] - 1
    files = {key: column[group * group_size :] for key, column in files.items()}
    return files, starts[group]


def _interleave(files):
    """Interleaves the records of a group of files."""
    return tf.data.Dataset.from_tensor_slices(files).interleave(
        _read_file,
        cycle_length=_GROUP_FILES,
        block_length=_BLOCK_LENGTH,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _read_file(file):
    """Reads the records of one file, and fails if there are too few."""
    records = tf.data.TFRecordDataset(file["path"]).skip(file["skip"])
    # TensorFlow reports no error for a file that ends between two records.
    end = tf.data.Dataset.from_tensors(file["path"]).map(_too_few)
    return records.concatenate(end).take(file["take"])


def _too_few(path):
    text = "this file has fewer records than dataset_info.json lists:"
    with tf.control_dependencies([tf.debugging.Assert(False, [text, path])]):
        return tf.identity(path)
