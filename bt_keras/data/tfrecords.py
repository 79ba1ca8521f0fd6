"""The TFRecord files of a TFDS data set: in order or shuffled, from any record on."""

import os

import tensorflow as tf

from bt_keras.data.shuffle import epoch_order, fold_in

# How many shuffled files are read at a time, and how many records of one at a time.
_GROUP_FILES = 16
_RECORDS_IN_TURN = 16


def read_examples(parts, shuffle_seed=None, first=0):
    """Reads serialised examples.

    Shuffled files are cut into groups. The files of a group are read in turns, and one
    group after the other: so it is known how many records lie before a group, and
    those before the group of the first record are left out without opening a file.

    Args:
        parts: list of `tfds.core.utils.shard_utils.FileInstruction`.
        shuffle_seed: integer tensor (2,) that the order of the files depends on, or
            None for one file after the other.
        first: int or scalar int64 tensor. The position of the order to begin at.

    Returns:
        `tf.data.Dataset` of scalar strings.
    """
    files = {
        "path": tf.constant([os.fspath(part.filename) for part in parts]),
        "skip": tf.constant([part.skip for part in parts], tf.int64),
        "take": tf.constant([part.take for part in parts], tf.int64),
    }
    group_size = 1
    if shuffle_seed is not None:
        order = epoch_order(len(parts), fold_in(shuffle_seed, -1))
        files = {key: tf.gather(column, order) for key, column in files.items()}
        group_size = _GROUP_FILES

    first = tf.cast(first, tf.int64)
    starts = tf.cumsum(files["take"], exclusive=True)[::group_size]
    group = tf.searchsorted(starts, [first], side="right")[0] - 1
    files = {key: column[group * group_size :] for key, column in files.items()}
    groups = tf.data.Dataset.from_tensor_slices(files).batch(group_size)
    return groups.flat_map(_in_turns).skip(first - starts[group])


def _in_turns(files):
    """The records of a group of files."""
    return tf.data.Dataset.from_tensor_slices(files).interleave(
        lambda file: (
            tf.data.TFRecordDataset(file["path"]).skip(file["skip"]).take(file["take"])
        ),
        cycle_length=_GROUP_FILES,
        block_length=_RECORDS_IN_TURN,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
