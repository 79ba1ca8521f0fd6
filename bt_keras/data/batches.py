"""Batches of view pairs, or of one shard of every batch, which alone is decoded."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from bt_keras.data import epochs
from bt_keras.data.shuffle import fold_in
from bt_keras.data.source import Source


def batches(
    source: Source,
    views: Callable,
    batch_size: int,
    seed: int,
    starts: tf.data.Dataset,
    length: int,
    shard: tuple[int, int] = (0, 1),
    labels: bool = False,
) -> tf.data.Dataset:
    """Makes a dataset of batches of view pairs, or of one shard of every batch.

    Args:
        source: `Source`.
        views: `bt_keras.augmentation.Views`, or a function with the same signature.
        batch_size: Integer. The size of whole batches.
        seed: Integer. Seeds the order and the views.
        starts: `tf.data.Dataset` of one int64, the step to begin with.
        length: Integer. Number of steps.
        shard: Tuple of integers (i, k): the i-th of k equal shards of every batch, with
            the same pixels as in the whole batch. `views` must then take a `shard` as
            well. Defaults to `(0, 1)`, the whole batch.
        labels: Boolean. Whether the elements have the labels of the images. Defaults to
            `False`.

    Returns:
        `tf.data.Dataset` of (view_a, view_b), of `batch_size / k` rows; with labels, of
        ((view_a, view_b), label).
    """
    make = _in_memory if source.fits_in_memory else _streamed
    element = _with_labels if labels else _without_labels
    return make(source, views, batch_size, seed, starts, length, shard, element)


def _with_labels(pair, labels):
    return pair, labels


def _without_labels(pair, labels):
    return pair


def _for_shard(function, shard):
    """Binds `shard`; views that make whole batches may lack the argument."""
    return function if shard == (0, 1) else functools.partial(function, shard=shard)


def _in_memory(source, views, batch_size, seed, starts, length, shard, element):
    """Decodes all images once and gathers every batch from them."""
    images, labels = source.images, source.labels
    views = _for_shard(views, shard)
    index, shards = shard

    def numbers_from(step):
        first, per_epoch = step * batch_size, _images_per_epoch(source, batch_size)
        return epochs.image_numbers(source, seed, first, per_epoch).take(
            length * batch_size
        )

    def batch_of_views(positions, numbers):
        step = positions[0] // batch_size
        numbers = tf.reshape(numbers, (shards, batch_size // shards))[index]
        pair = views(tf.gather(images, numbers), seed=tf.stack([seed, step]))
        return element(pair, tf.gather(labels, numbers))

    numbers = starts.flat_map(numbers_from).batch(batch_size, drop_remainder=True)
    return numbers.map(batch_of_views, tf.data.AUTOTUNE)


def _streamed(source, views, batch_size, seed, starts, length, shard, element):
    """Reads and decodes images when they are needed."""
    rows = batch_size // shard[1]

    def records_from(step):
        first, per_epoch = step * batch_size, _images_per_epoch(source, batch_size)
        return epochs.records(source, seed, first, per_epoch).take(length * batch_size)

    def decode(position, record):
        return position, *source.decode(record)

    def batch_of_views(positions, images, labels):
        seeds = tf.stack([seed, positions[0] // batch_size])
        return element(_for_shard(views, shard)(images, seed=seeds), labels)

    def crops(position, image, label):
        step, row = position // batch_size, position % batch_size
        image_seed = fold_in(tf.stack([seed, step]), row)
        crop_a, crop_b = views.crop(image[None], seed=image_seed)
        return step, crop_a[0], crop_b[0], label

    def distort(steps, crops_a, crops_b, labels):
        seeds = tf.stack([seed, steps[0]])
        pair = _for_shard(views.distort, shard)(crops_a, crops_b, seed=seeds)
        return element(pair, labels)

    records = starts.flat_map(records_from)
    images = _select_shard(records, shard, batch_size).map(decode, tf.data.AUTOTUNE)
    if None not in source.image_shape:
        in_batches = images.batch(rows, drop_remainder=True)
        return in_batches.map(batch_of_views, tf.data.AUTOTUNE)
    in_batches = images.map(crops, tf.data.AUTOTUNE).batch(rows, drop_remainder=True)
    return in_batches.map(distort, tf.data.AUTOTUNE)


def _images_per_epoch(source, batch_size):
    """Number of images in the whole batches of an epoch; the others are dropped."""
    return source.steps_per_epoch(batch_size) * batch_size


def _select_shard(records, shard, batch_size):
    """Drops the records of other shards before they are decoded."""
    index, shards = shard
    if shards == 1:
        return records
    rows = batch_size // shards
    return records.filter(
        lambda position, record: position % batch_size // rows == index
    )
