"""Measure the mean and the standard deviation of images."""

from __future__ import annotations

import math
import os

import tensorflow as tf

from bt_keras.augmentation.statistics import Statistics
from bt_keras.data import faults
from bt_keras.data.load import load
from bt_keras.data.source import Source
from bt_keras.errors import UsageError

_WHITE = 255


def measure(source: Source | str | os.PathLike | tf.data.Dataset) -> Statistics:
    """Measures mean and standard deviation of every band over all pixels of a source.

    All images are read once. Sums are of whole numbers, so that the result depends
    neither on the order nor on the machine.

    Args:
        source: `Source`, or what `bt_keras.data.load` takes. To measure images that are
            not RGB, load them with `channels`.

    Returns:
        `bt_keras.Statistics` of the images in [0, 1], as `bt_keras.views` takes them.

    Raises:
        UsageError: If there are no such images, all pixels of a band are equal, or an
            image cannot be read.

    Example:

    >>> source = bt_keras.data.load("shipped", "test[:100]", channels=1)
    >>> statistics = bt_keras.data.measure(source)
    >>> [round(number, 2) for (number,) in statistics]
    [0.29, 0.36]
    >>> views = bt_keras.views(28, "small", statistics)
    """

    def sums(image, label):
        levels = tf.cast(image, tf.int64)
        pixels = tf.fill(image.shape[-1:], tf.size(levels, tf.int64))
        squares = tf.square(levels)
        return tf.stack([pixels, _sum(levels), _sum(squares)])

    source = load(source)
    channels = source.image_shape[-1]
    each = source.dataset().map(sums, tf.data.AUTOTUNE)
    with faults.named(source.find_fault):
        total = each.reduce(tf.zeros((3, channels), tf.int64), tf.add).numpy()
    means, deviations = [], []
    for values, first, second in total.T.tolist():
        pixels = values // channels
        variance = (pixels * second - first**2) / pixels**2
        means.append(first / pixels / _WHITE)
        deviations.append(math.sqrt(variance) / _WHITE)
    if 0.0 in deviations:
        raise UsageError(
            f"Band {deviations.index(0.0)} (counted from 0) of the images of "
            f"{source.name!r} has the same value everywhere, so it cannot be "
            "normalized: leave it out of the files, or give the mean and deviation."
        )
    return Statistics(tuple(means), tuple(deviations))


def _sum(levels):
    return tf.reduce_sum(levels, axis=(0, 1))
