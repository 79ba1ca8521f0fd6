"""Images of successive epochs, in the seeded order of each epoch.

Positions count the images of a run from 0. Position p belongs to epoch
p // images_per_epoch; the order of an epoch is seeded by (seed, epoch). Pretraining
and every evaluation that trains take their images from here.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bt_keras.data.shuffle import epoch_order
from bt_keras.data.source import Source

# Stands for infinity: this many images or steps are never reached, and a multiple of
# it by the number of images fits into an int64.
ENDLESS = 2**40


def image_numbers(
    source: Source,
    seed: int,
    first: int | tf.Tensor = 0,
    images_per_epoch: int | None = None,
) -> tf.data.Dataset:
    """Makes an endless dataset of the numbers of images, for images in memory.

    Args:
        source: `Source`.
        seed: Integer. Seeds the order of every epoch.
        first: Integer or scalar int64 tensor. The position to begin at. Defaults to
            `0`.
        images_per_epoch: Integer, at most the number of images. An epoch ends after
            that many. Defaults to all images.

    Returns:
        `tf.data.Dataset` of (position, image number), both scalar int64.
    """
    images_per_epoch = images_per_epoch or source.num_images

    def epoch_numbers(epoch, first_of_epoch):
        order = epoch_order(source.num_images, tf.stack([seed, epoch]))
        remaining = order[first_of_epoch:images_per_epoch]
        return tf.data.Dataset.from_tensor_slices(remaining)

    return _successive_epochs(epoch_numbers, first, images_per_epoch)


def records(
    source: Source,
    seed: int,
    first: int | tf.Tensor = 0,
    images_per_epoch: int | None = None,
) -> tf.data.Dataset:
    """Makes an endless dataset of undecoded records, for images read when needed.

    Args:
        source: `Source`.
        seed: Integer. Seeds the order of every epoch.
        first: Integer or scalar int64 tensor. The position to begin at; as few of the
            records before it are read as the source allows. Defaults to `0`.
        images_per_epoch: Integer, at most the number of images. An epoch ends after
            that many. Defaults to all images.

    Returns:
        `tf.data.Dataset` of (position, record), the position a scalar int64, the
        record as `source.decode` takes it.
    """
    images_per_epoch = images_per_epoch or source.num_images

    def epoch_records(epoch, first_of_epoch):
        remaining = source.records(tf.stack([seed, epoch]), first_of_epoch)
        return remaining.take(images_per_epoch - first_of_epoch)

    return _successive_epochs(epoch_records, first, images_per_epoch)


def _successive_epochs(
    read_epoch: Callable, first: int | tf.Tensor, images_per_epoch: int
) -> tf.data.Dataset:
    """Joins the epochs from position `first` on, and adds the positions."""
    first = tf.cast(first, tf.int64)
    first_epoch = first // images_per_epoch

    def from_position(epoch):
        begin = tf.where(epoch == first_epoch, first % images_per_epoch, 0)
        return read_epoch(epoch, begin)

    images = tf.data.Dataset.range(first_epoch, ENDLESS).flat_map(from_position)
    return tf.data.Dataset.zip(tf.data.Dataset.range(first, ENDLESS), images)
