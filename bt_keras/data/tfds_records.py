"""Read the records of a TensorFlow Datasets (TFDS) data set in a seeded order."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from bt_keras.data import tfds_library
from bt_keras.data.shuffle import records_in_block, shuffle_blocks
from bt_keras.data.tfrecords import read_examples

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def records(
    builder: tfds.core.DatasetBuilder,
    split: str,
    shuffle_seed: tf.Tensor | None = None,
    first: int | tf.Tensor = 0,
) -> tf.data.Dataset:
    """Makes a dataset of records with undecoded images, see `Source`."""
    read = functools.partial(_read, builder, split, shuffle_seed)
    if shuffle_seed is None:
        return read(first)
    num_images, bytes_each = _sizes(builder.info, split)
    return shuffle_blocks(read, num_images, bytes_each, shuffle_seed, first)


def block_start(info: tfds.core.DatasetInfo, split: str, position: int) -> int:
    """Returns the position of the first record of a shuffled block."""
    return position - position % records_in_block(*_sizes(info, split))


def is_tfrecord(info: tfds.core.DatasetInfo) -> bool:
    """Returns whether a data set consists of TFRecord files."""
    tfds = tfds_library.load()
    return info.file_format == tfds.core.FileFormat.TFRECORD


def deserializer(info: tfds.core.DatasetInfo) -> Callable:
    """Returns a function from a serialized example to a record."""
    return functools.partial(info.features.deserialize_example, decoders=_undecoded())


def _sizes(info, split):
    """Returns the number of images of a split, and the mean size of a record."""
    whole = info.splits[re.split(r"[\[+]", split)[0]]
    bytes_each = whole.num_bytes // max(1, whole.num_examples)
    return info.splits[split].num_examples, bytes_each


def _read(builder, split, shuffle_seed, first):
    """Reads records in file order or with shuffled files."""
    tfds = tfds_library.load()
    info = builder.info
    if not is_tfrecord(info):
        in_order = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
        dataset = builder.as_dataset(split, decoders=_undecoded(), read_config=in_order)
        return dataset.skip(first)
    # TFDS can shuffle files too, but its seed cannot be a tensor.
    examples = read_examples(info.splits[split].file_instructions, shuffle_seed, first)
    return examples.map(deserializer(info), tf.data.AUTOTUNE)


def _undecoded():
    tfds = tfds_library.load()
    return {"image": tfds.decode.SkipDecoding()}
