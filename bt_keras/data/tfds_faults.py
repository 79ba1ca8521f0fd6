"""What is wrong with the files of a data set in TFDS format."""

from __future__ import annotations

import concurrent.futures
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from bt_keras.data.decode import check_image
from bt_keras.data.tfds_records import block_start, deserializer, is_tfrecord
from bt_keras.data.tfrecords import files_from
from bt_keras.errors import UsageError, one_line

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

# A TFRecord file has 16 bytes around each record.
_FRAMING = 16
# Threads that ask for sizes; a network file system takes milliseconds a file.
_STAT_THREADS = 16


def damaged_info(path: str, error: Exception) -> UsageError:
    """Names the file that TFDS cannot use.

    Args:
        path: String. The folder with dataset_info.json.
        error: Exception that TFDS raised.

    Returns:
        `UsageError`.
    """
    for name in ("dataset_info.json", "features.json"):
        file = os.path.join(path, name)
        try:
            with tf.io.gfile.GFile(file) as opened:
                damaged = not isinstance(json.loads(opened.read()), dict)
        except (tf.errors.OpError, ValueError):
            damaged = True
        if damaged:
            state = "damaged" if tf.io.gfile.exists(file) else "missing"
            return UsageError(f"{file!r} is {state}: restore it.")
    return UsageError(
        f"{path!r} is not a complete TFDS data set: its dataset_info.json or "
        f"features.json is damaged ({one_line(error)}). Restore them."
    )


def file_stats(info: tfds.core.DatasetInfo, split: str) -> list[tuple[int, int]]:
    """Returns the sizes and times of the files of a split.

    Args:
        info: `tfds.core.DatasetInfo`.
        split: String, a split or subsplit.

    Returns:
        List of tuples of integers: bytes, and the time of the last change in
        nanoseconds.

    Raises:
        UsageError: If a file is missing, or too short for its records.
    """
    framing = _FRAMING if is_tfrecord(info) else 1

    def stat(instruction):
        path, count = str(instruction.filename), instruction.examples_in_shard
        try:
            status = tf.io.gfile.stat(path)
        except tf.errors.NotFoundError as error:
            raise UsageError(
                f"{path!r} is missing, although dataset_info.json lists it: restore it."
            ) from error
        except tf.errors.OpError as error:
            reason = one_line(error.message)
            raise UsageError(f"{path!r} cannot be read: {reason}.") from error
        if status.is_directory:
            raise UsageError(f"{path!r} is a folder instead of a file: restore it.")
        if status.length < framing * count:
            raise UsageError(
                f"{path!r} is truncated: it has {status.length} bytes, too few for the "
                f"{count} records that dataset_info.json lists. Restore it."
            )
        return status.length, status.mtime_nsec

    with concurrent.futures.ThreadPoolExecutor(_STAT_THREADS) as pool:
        return list(pool.map(stat, info.splits[split].file_instructions))


def find_fault(
    info: tfds.core.DatasetInfo,
    split: str,
    decode: Callable,
    message: str,
    shuffle_seed: tf.Tensor | None = None,
    first: int = 0,
    count: int | None = None,
) -> str | None:
    """Finds the first file with a record that cannot be read.

    Args:
        info: `tfds.core.DatasetInfo`.
        split: String, a split or subsplit.
        decode: See `Source`.
        message: See `Source.find_fault`.
        shuffle_seed: See `Source.find_fault`.
        first: See `Source.find_fault`.
        count: Not used, because records are read ahead.

    Returns:
        String for the user, or None.
    """
    try:
        file_stats(info, split)
    except UsageError as error:
        return str(error)
    files = info.splits[split].file_instructions
    counts = {str(file.filename): file.examples_in_shard for file in files}
    named = [path for path in counts if path in message]
    if is_tfrecord(info):
        if shuffle_seed is not None:
            first = block_start(info, split, first)
        columns, _ = files_from(files, shuffle_seed, first)
        for path in named or map(os.fsdecode, columns["path"].numpy()):
            problem = _problem(path, counts[path], deserializer(info), decode)
            if problem:
                return f"{path!r} {problem}. Restore it, and start again."
    return f"{named[-1]!r} could not be read: {one_line(message)}" if named else None


def _problem(path, expected, deserialize, decode):
    """Says what is wrong with a file, or returns None."""
    examples = tf.data.TFRecordDataset(path)
    images = examples.map(
        lambda example: decode(deserialize(example))[0], tf.data.AUTOTUNE
    )
    try:
        count = int(images.reduce(tf.constant(0, tf.int64), lambda n, _: n + 1))
    except tf.errors.OpError:
        return _first_problem(examples, deserialize, decode)
    if count != expected:
        return f"has {count} records, not the {expected} that dataset_info.json lists"
    return None


def _first_problem(examples, deserialize, decode):
    """Says which record of a file is damaged."""
    number = 0
    try:
        for number, example in enumerate(examples, 1):
            if problem := _record_problem(example, deserialize, decode):
                return f"is damaged: in record {number}, {problem}"
    except tf.errors.DataLossError:
        return f"is truncated or corrupt after record {number}"
    except tf.errors.OpError as error:
        return f"cannot be read after record {number}: {one_line(error.message)}"
    return None


def _record_problem(example, deserialize, decode):
    try:
        record = deserialize(example)
    except (tf.errors.OpError, ValueError):
        return "there are not the features of features.json"
    _, problem = check_image(record["image"].numpy())
    if problem:
        return f"the image {problem}"
    try:
        decode(record)
    except (tf.errors.OpError, ValueError):
        return "the image has another shape than in features.json"
    return None
