"""A `tf.data.Dataset` of images as a source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from bt_keras import checks
from bt_keras.data.shuffle import shuffle_blocks
from bt_keras.data.source import NO_LABEL, Source
from bt_keras.errors import UsageError

# Assumed where the image size is unknown, to choose the size of a block.
_TYPICAL_SHAPE = (512, 512, 3)


def from_dataset(
    dataset: tf.data.Dataset, class_names: Sequence[str] | None = None
) -> Source:
    """Makes a source from a `tf.data.Dataset` of images.

    The dataset must be finite and give the same images in the same order in each
    iteration: do not use `repeat`, `shuffle` or augmentation. If its cardinality is
    unknown, it is iterated once to count the images. If it does not fit into memory,
    the images of an epoch are shuffled in blocks of up to 512 MiB.

    Args:
        dataset: `tf.data.Dataset` of image or (image, label). The image is uint8 of
            shape `(H, W, 3)`, or `(N, H, W, 3)` if batched; the label is an integer,
            batched like the images.
        class_names: Sequence of strings, the names of the labels 0, 1, ... Without it
            labels are ignored. Defaults to `None`.

    Returns:
        `Source`.

    Raises:
        UsageError: If the elements are not images, or the dataset is empty or endless.

    Example:

    >>> images = np.zeros((8, 32, 32, 3), np.uint8)
    >>> dataset = tf.data.Dataset.from_tensor_slices(images)
    >>> bt_keras.data.from_dataset(dataset).num_images
    8
    """
    image_spec = _image_spec(dataset)
    if isinstance(class_names, str):
        raise UsageError(f"class_names={class_names!r} must be a sequence of strings.")
    names = None
    if class_names is not None and isinstance(dataset.element_spec, tuple):
        names = tuple(class_names)
    if image_spec.shape.rank == 4:
        dataset = dataset.unbatch()
    image_shape = (*image_spec.shape[-3:-1].as_list(), 3)

    def record(image, label=NO_LABEL):
        label = NO_LABEL if names is None else label
        # As strings, images of different sizes can be batched for shuffling.
        image = tf.io.serialize_tensor(image)
        return {"image": image, "label": tf.reshape(tf.cast(label, tf.int64), ())}

    def in_order(first):
        # A dataset can only be read from its beginning.
        return dataset.skip(first).map(record)

    def records(shuffle_seed=None, first=0):
        if shuffle_seed is None:
            return in_order(first)
        return shuffle_blocks(in_order, num_images, bytes_each, shuffle_seed, first)

    def decode(record):
        image = tf.io.parse_tensor(record["image"], tf.uint8)
        return tf.ensure_shape(image, image_shape), record["label"]

    num_images = _count(dataset)
    sides = [side for side in image_shape[:2] if side]
    bytes_each = math.prod(image_shape if len(sides) == 2 else _TYPICAL_SHAPE)
    return Source(
        name="tf.data",
        split="train",
        num_images=num_images,
        image_shape=image_shape,
        records=records,
        decode=decode,
        class_names=names,
        smallest_side=min(sides) if len(sides) == 2 else None,
    )


def _image_spec(dataset):
    if not isinstance(dataset, tf.data.Dataset):
        raise UsageError(
            f"dataset={checks.described(dataset)} must be a tf.data.Dataset, such as "
            "tf.data.Dataset.from_tensor_slices(images)."
        )
    spec = dataset.element_spec
    image = spec[0] if isinstance(spec, tuple) and len(spec) in (1, 2) else spec
    if (
        not isinstance(image, tf.TensorSpec)
        or image.dtype != tf.uint8
        or image.shape.rank not in (3, 4)
        or image.shape[-1] != 3
    ):
        raise UsageError(
            "The elements of the tf.data.Dataset are not images: give image or (image, "
            "label) with image uint8 (H, W, 3) in 0..255, batched or not, instead of "
            f"{spec}."
        )
    return image


def _count(dataset):
    count = int(dataset.cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        raise UsageError("The tf.data.Dataset never ends: remove its repeat().")
    if count == tf.data.UNKNOWN_CARDINALITY:
        count = int(dataset.reduce(tf.constant(0, tf.int64), lambda n, *_: n + 1))
    if count == 0:
        raise UsageError("The tf.data.Dataset is empty: give one with images.")
    return count
