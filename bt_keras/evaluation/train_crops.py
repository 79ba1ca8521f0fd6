"""Random crops for training classifiers, from the input pipeline of `bt_keras.data`."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.augmentation import ops, sampling
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import Source, epochs
from bt_keras.evaluation.label_subsets import read_labels


def batches_of_crops(
    source: Source,
    size: int,
    batch_size: int,
    seed: int,
    statistics: Statistics = IMAGENET,
) -> tf.data.Dataset:
    """Makes an endless dataset of full batches of random crops.

    Batches continue across the ends of epochs. Images that fit in memory are decoded
    once and cropped a batch at a time.

    Args:
        source: `bt_keras.data.Source` with labels.
        size: Integer, side of the crops in pixels.
        batch_size: Integer > 0.
        seed: Integer. Seeds the order and the crops.
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.

    Returns:
        `tf.data.Dataset` of (images float32 (N, size, size, C), labels int64 (N,)).

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.train_crops import batches_of_crops
    >>> batches = batches_of_crops(data.load("shipped", "test"), 8, 16, seed=0)
    >>> images, labels = next(iter(batches))
    >>> images.shape, labels.shape
    (TensorShape([16, 8, 8, 3]), TensorShape([16]))
    """
    if source.fits_in_memory:
        batches = _batches_in_memory(source, size, batch_size, seed, statistics)
    else:
        images = epochs.records(source, seed)
        batches = _crops(images, source, size, seed, statistics).batch(batch_size)
    return batches.prefetch(tf.data.AUTOTUNE)


def epoch_of_crops(
    source: Source,
    epoch: int | tf.Tensor,
    size: int,
    seed: int,
    statistics: Statistics = IMAGENET,
) -> tf.data.Dataset:
    """Makes a dataset of one epoch of random crops; every epoch has its own.

    Args:
        source: `bt_keras.data.Source` with labels.
        epoch: Integer or scalar int64 tensor, counted from 0.
        size: Integer, side of the crops in pixels.
        seed: Integer. Seeds the order and the crops.
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.

    Returns:
        `tf.data.Dataset` of (image float32 (size, size, C), label int64 ()).
    """
    images = epochs.records(source, seed, epoch * source.num_images)
    images = images.take(source.num_images)
    return _crops(images, source, size, seed, statistics)


def random_crops(
    images: tf.Tensor,
    seed: tf.Tensor,
    size: int,
    statistics: Statistics = IMAGENET,
) -> tf.Tensor:
    """Takes the paper's training crops: scale 0.08 to 1, bilinear, random flip.

    Args:
        images: uint8 tensor (N, H, W, C).
        seed: Integer tensor (2,).
        size: Integer, side of the crops in pixels.
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.

    Returns:
        float32 tensor (N, size, size, C), normalized.
    """
    crop_seed, flip_seed = sampling.split_seed(seed, 2)
    count, height, width = tf.unstack(tf.shape(images)[:3])
    boxes = sampling.crop_boxes(crop_seed, count, height, width)
    crops = ops.crop_and_resize(images, boxes, size, method="bilinear")
    crops = ops.flip(crops, sampling.bernoulli(flip_seed, count, 0.5))
    shape = (None, size, size, statistics.channels)
    return tf.ensure_shape(ops.normalize(crops, statistics), shape)


def _batches_in_memory(source, size, batch_size, seed, statistics):
    images, labels = source.images, tf.constant(read_labels(source))

    def crop(positions, numbers):
        seeds = tf.stack([seed, positions[0] // batch_size])
        crops = random_crops(tf.gather(images, numbers), seeds, size, statistics)
        return crops, tf.gather(labels, numbers)

    numbers = epochs.image_numbers(source, seed).batch(batch_size)
    return numbers.map(crop, tf.data.AUTOTUNE)


def _crops(records, source, size, seed, statistics):
    """Decodes and crops one image at a time; its position seeds its crop."""

    def crop(position, record):
        image, label = source.decode(record)
        seeds = tf.stack([seed, position])
        return random_crops(image[tf.newaxis], seeds, size, statistics)[0], label

    return records.map(crop, tf.data.AUTOTUNE)
