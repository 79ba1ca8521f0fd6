"""Sources of images: the interface that all kinds of data sets share."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from bt_keras.data import faults
from bt_keras.data.image_files import count_text
from bt_keras.errors import UsageError

# Label of images without labels.
NO_LABEL = -1
# Decoded images are kept in memory up to this size.
IN_MEMORY_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class Source:
    """Images, with or without labels, that can be read in a seeded order.

    `bt_keras.data.load` and `bt_keras.data.from_dataset` make sources.

    Args:
        name: String. Name as given by the user.
        split: String. Split as given by the user.
        num_images: Integer. Number of images in the split.
        image_shape: Tuple (H, W, C), with None where H or W varies or is unknown.
        records: Function of `shuffle_seed=None, first=0` that returns a
            `tf.data.Dataset` of undecoded records, which are dicts of tensors, with the
            key "label" if there are class names. Without
            a seed they are in file order; with one, an integer tensor of shape `(2,)`,
            they are in an order that depends only on it. `first`, an integer or scalar
            int64 tensor, skips the records before this position of the order and reads
            as few of them as possible. Seed and position may be symbolic tensors.
        decode: Function from a record to (image, label): uint8 of shape `(H, W, C)` and
            scalar int64, -1 if there are no labels.
        class_names: Tuple of strings, or None if there are no labels. Defaults to
            `None`.
        num_skipped: Integer. Number of corrupt files that are left out. Defaults to
            `0`.
        smallest_side: Integer, pixels, or None if unknown. Defaults to `None`.
        place: String. Folder that the images of the split are read from, or "".
            Defaults to `""`.
        splits: Tuple of strings, the names of all splits. Defaults to `()`.
        left_out: Mapping from a kind of file, such as ".txt", to the number of files
            of this kind that are not images. Defaults to `{}`.
        digest: String, see `images_digest`, or None if unknown. Defaults to `None`.
        find_fault: Function of `message, shuffle_seed=None, first=0, count=None` that
            reads as many images in the order of `records` and returns a sentence that
            names the first file that cannot be read, or None. The message is that of
            an error of TensorFlow, which may contain the path of a file. Defaults to
            `None`: it is not known how to find a fault.
        ranges: Tuple of (name, first, end), the numbers of the images within files that
            hold several. Defaults to `()`: not known.
        fingerprints: Integer array of shape `(num_images,)`, hashes of the contents of
            files that hold one image each. Defaults to `None`: not known.
        times: Tuple of integers, when the files were changed last, where their contents
            are not known. Defaults to `()`.
        file_name: Function from a record to a scalar string tensor, the name of the
            image's file relative to `place`. Defaults to `None`: images are not in
            files of their own.
        label_names: Tuple of strings, the classes of images with several labels each.
            Defaults to `()`: they have one label or none.
        label_set: Function from a record to an int8 tensor of shape
            `(len(label_names),)`: 1 if a class occurs in the image, 0 if not, -1 if it
            is uncertain. Defaults to `None`: images have one label or none.

    Example:

    >>> source = bt_keras.data.load("shipped", "test")
    >>> image, label = next(iter(source.dataset()))
    >>> image.shape, source.class_names[int(label)]
    (TensorShape([28, 28, 3]), 'Ankle boot')
    """

    name: str
    split: str
    num_images: int
    image_shape: tuple[int | None, int | None, int]
    records: Callable = dataclasses.field(repr=False)
    decode: Callable = dataclasses.field(repr=False)
    class_names: tuple[str, ...] | None = None
    num_skipped: int = 0
    smallest_side: int | None = None
    place: str = ""
    splits: tuple[str, ...] = ()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    digest: str | None = None
    find_fault: Callable | None = dataclasses.field(default=None, repr=False)
    ranges: tuple[tuple[str, int, int], ...] = dataclasses.field(default=(), repr=False)
    fingerprints: np.ndarray | None = dataclasses.field(
        default=None, repr=False, compare=False
    )
    times: tuple[int, ...] = dataclasses.field(default=(), repr=False, compare=False)
    file_name: Callable | None = dataclasses.field(default=None, repr=False)
    label_names: tuple[str, ...] = ()
    label_set: Callable | None = dataclasses.field(default=None, repr=False)

    @property
    def num_classes(self) -> int | None:
        """Number of classes, or None if there are no labels."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def fits_in_memory(self) -> bool:
        """Boolean, whether all decoded images are known to fit into 1 GiB."""
        if None in self.image_shape:
            return False
        return self.num_images * math.prod(self.image_shape) <= IN_MEMORY_BYTES

    def describe(self) -> str:
        """Describes in one line what is read.

        Example:

        >>> bt_keras.data.load("shipped", "test").describe()
        "2000 images of 10 classes: split 'test' of 'shipped' (splits: test, train)"
        """
        if self.label_set is not None:
            labels = f"with any of {len(self.label_names)} labels"
        elif self.class_names is None:
            labels = "without labels"
        else:
            plural = "" if self.num_classes == 1 else "es"
            labels = f"of {self.num_classes} class{plural}"
        line = f"{self.num_images} images {labels}: split {self.split!r}"
        line += f" of {self.name!r}"
        if self.splits:
            names = sorted(self.splits)
            names[8:] = ["..."] if names[8:] else []
            line += f" (splits: {', '.join(names)})"
        if self.place and self.place != self.name:
            line += f", read from {self.place!r}"
        counts = {**self.left_out, "unreadable": self.num_skipped}
        left_out = count_text(counts)
        return line + (f"; left out: {left_out}" if left_out else "")

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of whole batches in an epoch; the rest is dropped.

        Args:
            batch_size: Integer > 0. Global batch size.
        """
        return self.num_images // batch_size

    @property
    def images(self) -> tf.Tensor:
        """All decoded images, uint8 `(N, H, W, C)`, decoded once for each source."""
        return self._decoded[0]

    @property
    def labels(self) -> tf.Tensor:
        """The labels of all `images`, int64 `(N,)`, -1 if there are none."""
        return self._decoded[1]

    @functools.cached_property
    def _decoded(self):
        with faults.named(self.find_fault):
            in_batches = list(self.dataset().batch(1024))
        return [tf.concat(part, axis=0) for part in zip(*in_batches, strict=True)]

    def dataset(self, first: int = 0) -> tf.data.Dataset:
        """Returns a `tf.data.Dataset` of decoded (image, label), in file order.

        Args:
            first: Integer, position of the image to begin with. Defaults to `0`.
        """
        records = self.records(first=first)
        dataset = records.map(self.decode, tf.data.AUTOTUNE, deterministic=True)
        count = tf.data.experimental.assert_cardinality(self.num_images - first)
        return dataset.apply(count).prefetch(tf.data.AUTOTUNE)

    def require_labels(self, purpose: str, some: bool = False) -> None:
        """Checks that this source has labels of at least two classes.

        Args:
            purpose: String. Name of the step that needs labels, a singular noun such
                as "linear evaluation".
            some: Boolean, whether images without a label (-1) are allowed. Defaults
                to `False`: the label of the first image is read, as splits such as
                `unlabelled` of STL-10 have none at all.

        Raises:
            UsageError: If this source has no labels, or all have the same one.
        """
        if self.class_names is None:
            raise UsageError(
                f"{purpose} needs labels, but {self.name!r} has none: in a folder, put "
                "the images of each class into one subfolder; in a TFDS data set, name "
                "a ClassLabel feature 'label'; with a tf.data.Dataset of (image, "
                "label), pass class_names to from_dataset."
            )
        if self.num_classes == 1:
            raise UsageError(
                f"{purpose} needs at least two classes, but all images of "
                f"{self.name!r} are of the class {self.class_names[0]!r}: in a folder, "
                "put the images of each class into one subfolder."
            )
        if not some and self._first_label() == NO_LABEL:
            raise UsageError(
                f"{purpose} needs labels, but the first image of the split "
                f"{self.split!r} of {self.name!r} has none (-1): name another split."
            )

    def _first_label(self):
        with faults.named(self.find_fault):
            for record in self.records().take(1):
                return int(record["label"])
        return None


def common_shape(
    sizes: Sequence[tuple[int, int]], channels: int = 3
) -> tuple[int | None, int | None, int]:
    """Returns the shape that images of the given sizes share.

    Args:
        sizes: Sequence of (height, width).
        channels: Integer, the number of bands of all images. Defaults to `3`.

    Returns:
        Tuple (H, W, channels), with None for a side that differs between images.
    """
    heights, widths = (set(side) for side in zip(*sizes, strict=True))
    height = heights.pop() if len(heights) == 1 else None
    width = widths.pop() if len(widths) == 1 else None
    return (height, width, channels)


def images_digest(files: Iterable[Sequence]) -> str:
    """Computes a digest of the files of a source, in the order of its images.

    It needs no contents. Data that were moved have the same digest, because names are
    relative.

    Args:
        files: Iterable of sequences: the relative name of a file, and integers such as
            its size.

    Returns:
        String, the first 32 hexadecimal digits of a SHA-256.
    """
    lines = (b"\0".join(os.fsencode(str(field)) for field in file) for file in files)
    # No path contains a zero byte: different lists give different bytes.
    return hashlib.sha256(b"\0\0".join(lines)).hexdigest()[:32]
