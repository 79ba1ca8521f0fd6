"""Pictures of view pairs, by which users check their images and recipes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bt_keras import data
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import faults
from bt_keras.data.source import Source

_COUNT = 8  # pairs


def draw_first(source: Source, views: Callable, batch_size: int, seed: int) -> bytes:
    """Draws the first pairs of a run.

    Args:
        source: `bt_keras.data.Source`.
        views: `bt_keras.augmentation.Views`, or a function with the same signature.
        batch_size: Integer > 0, the global batch size.
        seed: Integer. Seeds the order and the views.

    Returns:
        Bytes of a PNG file.

    Raises:
        UsageError: If an image cannot be read.
    """
    with faults.named(source.find_fault):
        pairs = data.pairs(source, views, min(_COUNT, batch_size), seed)
        return draw(pairs, getattr(views, "statistics", IMAGENET))


def draw(
    pairs: tf.data.Dataset, statistics: Statistics = IMAGENET, count: int = _COUNT
) -> bytes:
    """Draws the first pairs: one per column, one view above the other.

    Of images of more than three bands, the first three are drawn as red, green and
    blue; of images of two bands, the first is drawn.

    Args:
        pairs: `tf.data.Dataset` of batches `(view_a, view_b)`.
        statistics: `Statistics` that the views were normalized with. Defaults to those
            of ImageNet.
        count: Integer > 0, the largest number of pairs. Defaults to `8`.

    Returns:
        Bytes of a PNG file.
    """
    rows = [np.asarray(view[:count]) for view in next(iter(pairs))]
    rows = [np.concatenate(list(row), axis=1) for row in rows]
    picture = np.concatenate(rows) * statistics.deviation + statistics.mean
    picture = picture[..., : 3 if statistics.channels > 2 else 1]
    picture = tf.image.convert_image_dtype(picture, tf.uint8, saturate=True)
    return tf.io.encode_png(picture).numpy()
