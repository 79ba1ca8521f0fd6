"""What every source of images can do, wherever its images come from."""

import dataclasses
import functools
import math
from collections.abc import Callable

import tensorflow as tf

from bt_keras.errors import UsageError

# The label of an image that has none.
NO_LABEL = -1
# What is kept in memory, such as decoded images, is at most this large.
IN_MEMORY_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class Source:
    """Images, perhaps with labels, that can be read in a seeded order.

    `bt_keras.data.load` and `bt_keras.data.from_dataset` make sources.

    Args:
        name: str. What the user called it.
        split: str. The part of it that was asked for.
        num_images: int. The number of images in that part.
        image_shape: (H, W, 3), with None where it varies or is not known.
        records: function of `shuffle_seed=None, first=0` that returns a
            `tf.data.Dataset` of undecoded records, which are dicts of tensors. With
            None they are in file order, with an integer tensor of shape (2,) in an
            order that depends on nothing else. `first`, an int or scalar int64 tensor,
            leaves out the records before this position of the order, and reads as few
            of them as it can. It may be called while TensorFlow traces, with a seed
            and a position not known yet.
        decode: function from a record to (image uint8 (H, W, 3), label int64), the
            label -1 where there is none.
        class_names: tuple of str, or None where there are no labels.
        num_skipped: int. Corrupt files that were left out.
        smallest_side: int, pixels, or None where it is not known.
    """

    name: str
    split: str
    num_images: int
    image_shape: tuple
    records: Callable = dataclasses.field(repr=False)
    decode: Callable = dataclasses.field(repr=False)
    class_names: tuple | None = None
    num_skipped: int = 0
    smallest_side: int | None = None

    @property
    def num_classes(self):
        """int, or None where there are no labels."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def fits_in_memory(self):
        """bool, whether all decoded images are known to fit into 1 GiB."""
        if None in self.image_shape:
            return False
        return self.num_images * math.prod(self.image_shape) <= IN_MEMORY_BYTES

    @functools.cached_property
    def images(self):
        """All decoded images, uint8 (N, H, W, 3), kept for as long as the source."""
        in_batches = self.dataset().map(lambda image, _: image).batch(1024)
        return tf.concat(list(in_batches), axis=0)

    def dataset(self):
        """Returns a `tf.data.Dataset` of decoded (image, label), in file order."""
        dataset = self.records().map(self.decode, tf.data.AUTOTUNE, deterministic=True)
        count = tf.data.experimental.assert_cardinality(self.num_images)
        return dataset.apply(count).prefetch(tf.data.AUTOTUNE)

    def require_labels(self, purpose):
        """Refuses a source without labels.

        Args:
            purpose: str. What needs them, as the subject of a sentence in the
                singular, such as "linear evaluation".

        Raises:
            UsageError: If this source has no labels.
        """
        if self.class_names is None:
            raise UsageError(
                f"{purpose} needs labels, but {self.name!r} has none: in a folder, put "
                "the images of each class in a subfolder of its own; in a TFDS data "
                "set, there must be a ClassLabel called 'label'; with a tf.data of "
                "(image, label), give from_dataset the class_names."
            )


def common_shape(sizes):
    """The shape that images of these sizes share.

    Args:
        sizes: list of (height, width).

    Returns:
        (H, W, 3), with None for a side that is not the same everywhere.
    """
    heights, widths = (set(side) for side in zip(*sizes, strict=True))
    height = heights.pop() if len(heights) == 1 else None
    width = widths.pop() if len(widths) == 1 else None
    return (height, width, 3)
