"""A `tf.data.Dataset` of images as a source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from bt_keras import checks
from bt_keras.data import dataset_levels
from bt_keras.data.shuffle import shuffle_blocks
from bt_keras.data.source import NO_LABEL, Source
from bt_keras.errors import UsageError

# Assumed where the image size is unknown, to choose the size of a block.
_TYPICAL_SIDES = (512, 512)


def from_dataset(
    dataset: tf.data.Dataset,
    class_names: Sequence[str] | None = None,
    bits: int = 16,
    channels: int | None = None,
) -> Source:
    """Makes a source from a `tf.data.Dataset` of images.

    The dataset must be finite and give the same images in the same order in each
    iteration: do not use `repeat`, `shuffle` or augmentation. What
    `keras.utils.image_dataset_from_directory(..., shuffle=False)` returns is such a
    dataset. The first images are read a few times to check this. If the cardinality is
    unknown, the dataset is iterated once to count the images. If it does not fit into
    memory, the images of an epoch are shuffled in blocks of up to 512 MiB.

    Args:
        dataset: `tf.data.Dataset` of image or (image, label). The image has the shape
            `(H, W, C)`, or `(N, H, W, C)` if batched, with 1 to 16 bands. It is uint8,
            uint16, or float in 0..255, which is rounded. The label is an integer,
            batched like the images.
        class_names: Sequence of strings, the names of the labels 0, 1, ... Without it
            labels are ignored. Defaults to `None`.
        bits: Integer, 8 to 16. Number of significant bits of uint16 images, which are
            divided by `2 ** (bits - 8)`. Defaults to `16`.
        channels: Integer, the number of bands that the images must have. With `3`,
            gray images are repeated three times. Defaults to `None`: any number.

    Returns:
        `Source`.

    Raises:
        UsageError: If the elements are not images, have another number of bands or
            range, differ between iterations, or the dataset is empty or endless.

    Example:

    >>> images = np.zeros((8, 32, 32, 3), np.uint8)
    >>> dataset = tf.data.Dataset.from_tensor_slices(images)
    >>> bt_keras.data.from_dataset(dataset).num_images
    8
    """
    spec = dataset_levels.image_spec(dataset)
    bits = checks.number("bits", bits, checks.BITS)
    repeats = _repeats(spec.shape[-1], channels)
    names = _label_names(class_names, dataset)
    if spec.shape.rank == 4:
        dataset = dataset.unbatch()
    sides, bands = spec.shape[-3:-1].as_list(), repeats * spec.shape[-1]
    is_known = None not in sides
    num_images = _count(dataset)
    dataset_levels.check(dataset, bits)
    record = _encoder(bits, repeats, has_labels=names is not None)
    bytes_each = math.prod((*(sides if is_known else _TYPICAL_SIDES), bands))
    return Source(
        name="tf.data",
        split="train",
        num_images=num_images,
        image_shape=(*sides, bands),
        records=_reader(dataset, record, num_images, bytes_each),
        decode=_decoder((*sides, bands)),
        class_names=names,
        smallest_side=min(sides) if is_known else None,
    )


def _label_names(class_names, dataset):
    """Returns the names of the labels, `None` if there are none or they are ignored."""
    if isinstance(class_names, str):
        raise UsageError(f"class_names={class_names!r} must be a sequence of strings.")
    if class_names is None or not isinstance(dataset.element_spec, tuple):
        return None
    return tuple(class_names)


def _encoder(bits, repeats, has_labels):
    """Returns the function from an element of the dataset to a record."""

    def record(image, label=NO_LABEL):
        label = label if has_labels else NO_LABEL
        image = dataset_levels.to_levels(image, bits)
        image = tf.repeat(image, repeats, axis=-1) if repeats > 1 else image
        # As strings, images of different sizes can be batched for shuffling.
        image = tf.io.serialize_tensor(image)
        return {"image": image, "label": tf.reshape(tf.cast(label, tf.int64), ())}

    return record


def _decoder(image_shape):
    """Returns the function from a record to an image and its label."""

    def decode(record):
        image = tf.io.parse_tensor(record["image"], tf.uint8)
        return tf.ensure_shape(image, image_shape), record["label"]

    return decode


def _reader(dataset, record, num_images, bytes_each):
    """Returns the function that reads records in an order, see `Source`."""

    def in_order(first):
        # A dataset can only be read from its beginning.
        return dataset.skip(first).map(record)

    def records(shuffle_seed=None, first=0):
        if shuffle_seed is None:
            return in_order(first)
        return shuffle_blocks(in_order, num_images, bytes_each, shuffle_seed, first)

    return records


def _repeats(bands, channels):
    """How often the bands of every image are repeated."""
    if channels in (None, bands):
        return 1
    if (bands, channels) == (1, 3):
        return 3
    raise UsageError(
        f"The images of the tf.data.Dataset are (H, W, {bands}), not (H, W, "
        f"{channels}): give such images, or channels={bands}."
    )


def _count(dataset):
    count = int(dataset.cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        raise UsageError("The tf.data.Dataset never ends: remove its repeat().")
    if count == tf.data.UNKNOWN_CARDINALITY:
        count = int(dataset.reduce(tf.constant(0, tf.int64), lambda n, *_: n + 1))
    if count == 0:
        raise UsageError("The tf.data.Dataset is empty: give one with images.")
    return count
