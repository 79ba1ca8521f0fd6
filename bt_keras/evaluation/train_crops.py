"""The random crops that a classifier trains on."""

import math

import tensorflow as tf

from bt_keras.augmentation import ops, sampling
from bt_keras.data.shuffle import epoch_order
from bt_keras.evaluation.label_subsets import read_labels

# Images that are no larger than this when decoded are kept in memory.
_IN_MEMORY_BYTES = 2**30
_MANY_EPOCHS = 2**40


def batches_of_crops(source, size, batch_size, seed):
    """Full batches of random crops without an end, over the edges of epochs.

    Args:
        source: `bt_keras.data.Source` with labels.
        size: int, side of the crops in pixels.
        batch_size: int > 0.
        seed: int, of the order and the crops.

    Returns:
        `tf.data.Dataset` of (images float32 (N, size, size, 3), labels int64 (N,)).
    """
    if _fits(source):
        batches = _of_kept_images(source, size, batch_size, seed)
    else:
        epochs = tf.data.Dataset.range(_MANY_EPOCHS)
        crops = epochs.flat_map(lambda n: epoch_of_crops(source, n, size, seed))
        batches = crops.batch(batch_size)
    return batches.prefetch(tf.data.AUTOTUNE)


def _fits(source):
    known = None not in source.image_shape
    return known and source.num_images * math.prod(source.image_shape) <= (
        _IN_MEMORY_BYTES
    )


def _of_kept_images(source, size, batch_size, seed):
    """The images are decoded once, and a batch of them is cropped at a time."""
    images, labels = source.images, tf.constant(read_labels(source))

    def epoch(number):
        order = epoch_order(source.num_images, tf.stack([seed, number]))
        return tf.data.Dataset.from_tensor_slices(order)

    def crop(step, numbers):
        crops = random_crops(tf.gather(images, numbers), tf.stack([seed, step]), size)
        return crops, tf.gather(labels, numbers)

    numbers = tf.data.Dataset.range(_MANY_EPOCHS).flat_map(epoch).batch(batch_size)
    return numbers.enumerate().map(crop, tf.data.AUTOTUNE)


def epoch_of_crops(source, number, size, seed):
    """One epoch of random crops, in an order and with crops of its own.

    Args:
        source: `bt_keras.data.Source` with labels.
        number: int or scalar int64 Tensor, of the epoch, from 0 on.
        size: int, side of the crops in pixels.
        seed: int, of the order and the crops.

    Returns:
        `tf.data.Dataset` of (image float32 (size, size, 3), label int64 ()).
    """

    def crop(position, record):
        image, label = source.decode(record)
        seeds = tf.stack([seed, position])
        return random_crops(image[tf.newaxis], seeds, size)[0], label

    records = source.records(tf.stack([seed, number]))
    records = records.enumerate(number * source.num_images)
    return records.map(crop, tf.data.AUTOTUNE)


def random_crops(images, seed, size):
    """The paper's training crops: scale 0.08 to 1, bilinear, a flip, normalised.

    Args:
        images: uint8 Tensor (N, H, W, 3).
        seed: int Tensor (2,).
        size: int, side of the crops in pixels.

    Returns:
        float32 Tensor (N, size, size, 3).
    """
    crop_seed, flip_seed = sampling.split_seed(seed, 2)
    count, height, width = tf.unstack(tf.shape(images)[:3])
    boxes = sampling.crop_boxes(crop_seed, count, height, width)
    crops = ops.crop_and_resize(images, boxes, size, method="bilinear")
    crops = ops.flip(crops, sampling.bernoulli(flip_seed, count, 0.5))
    return tf.ensure_shape(ops.normalize(crops), (None, size, size, 3))
