"""A user's own tf.data of images as a source."""

import math

import tensorflow as tf

from bt_keras.data.shuffle import shuffle_blocks
from bt_keras.data.source import NO_LABEL, Source
from bt_keras.errors import UsageError

# Stands for the size of images that do not say theirs.
_TYPICAL_SHAPE = (512, 512, 3)


def from_dataset(dataset, class_names=None):
    """Makes a source of a `tf.data.Dataset` of images.

    The dataset must end, and give the same images in the same order each time it is
    iterated: leave `repeat`, `shuffle` and augmentation out. It is counted once if
    its cardinality is not known. If it is too large for memory, the images of an epoch
    are shuffled in blocks of up to 512 MiB.

    Args:
        dataset: `tf.data.Dataset` of image or (image, label). image: uint8 (H, W, 3)
            or batched, (N, H, W, 3); label: integer, or batched with the images.
        class_names: sequence of str. The names that the labels number. Without it
            labels are ignored.

    Returns:
        Source.

    Raises:
        UsageError: If the elements are not images, or the dataset is empty or endless.

    Example:
        >>> images = np.zeros((8, 32, 32, 3), np.uint8)
        >>> from_dataset(tf.data.Dataset.from_tensor_slices(images)).num_images
        8
    """
    image_spec = _image_spec(dataset)
    labelled = isinstance(dataset.element_spec, tuple) and class_names is not None
    if image_spec.shape.rank == 4:
        dataset = dataset.unbatch()
    image_shape = (*image_spec.shape[-3:-1].as_list(), 3)

    def record(image, label=NO_LABEL):
        label = label if labelled else NO_LABEL
        # Images of any size, as strings, can be in one block of the shuffling.
        image = tf.io.serialize_tensor(image)
        return {"image": image, "label": tf.reshape(tf.cast(label, tf.int64), ())}

    def in_order(first):
        # Nothing is known of this dataset but how to read it.
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
        class_names=tuple(class_names) if labelled else None,
        smallest_side=min(sides) if len(sides) == 2 else None,
    )


def _image_spec(dataset):
    spec = dataset.element_spec
    image = spec[0] if isinstance(spec, tuple) and len(spec) in (1, 2) else spec
    if (
        not isinstance(image, tf.TensorSpec)
        or image.dtype != tf.uint8
        or image.shape.rank not in (3, 4)
        or image.shape[-1] != 3
    ):
        raise UsageError(
            "The elements of the tf.data are not images: need image or (image, label) "
            "with image uint8 (H, W, 3) in 0..255, one by one or batched, but they are "
            f"{spec}."
        )
    return image


def _count(dataset):
    count = int(dataset.cardinality())
    if count == tf.data.INFINITE_CARDINALITY:
        raise UsageError("The tf.data of images never ends: leave out its repeat().")
    if count == tf.data.UNKNOWN_CARDINALITY:
        count = int(dataset.reduce(tf.constant(0, tf.int64), lambda n, *_: n + 1))
    if count == 0:
        raise UsageError("The tf.data of images is empty.")
    return count
