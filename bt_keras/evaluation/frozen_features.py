"""Features of a frozen backbone, which the evaluators share."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import Source
from bt_keras.progress_bar import track


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of one split.

    Args:
        features: float32 array (N, F), computed in evaluation mode.
        labels: int64 array (N,), -1 without labels.
    """

    features: np.ndarray
    labels: np.ndarray


class FrozenBackbone:
    """A backbone in evaluation mode and the images to evaluate it on.

    Args:
        backbone: `keras.Model` from normalized images (N, H, W, C) to features (N, F).
        train_source: `bt_keras.data.Source`.
        test_source: `bt_keras.data.Source` with the same classes.
        size: Integer > 0, side of the backbone's input images in pixels.
        resize_ratio: Float >= 1. The short side of an image is resized to
            `size * resize_ratio` before its center is cropped; 256 / 224 in the paper.
        batch_size: Integer > 0.
        needs_labels: Boolean, whether both sources must have labels. Defaults to
            `True`.
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.

    Raises:
        UsageError: If labels are needed, but a source has none, or only one class.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.frozen_features import FrozenBackbone
    >>> source = data.load("shipped", "test[:64]")
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> frozen = FrozenBackbone(backbone, source, source, 28, 1.0, batch_size=64)
    >>> frozen.test.features.shape
    (64, 32)
    """

    def __init__(
        self,
        backbone: keras.Model,
        train_source: Source,
        test_source: Source,
        size: int,
        resize_ratio: float,
        batch_size: int,
        needs_labels: bool = True,
        statistics: Statistics = IMAGENET,
    ):
        for source in (train_source, test_source) if needs_labels else ():
            source.require_labels("evaluation")
        self.backbone = backbone
        self.train_source = train_source
        self.test_source = test_source
        self.size = size
        self.resize = round(size * resize_ratio)
        self.batch_size = batch_size
        self.statistics = statistics
        self.num_classes = train_source.num_classes

    @functools.cached_property
    def train(self) -> Features:
        """`Features` of the center crops of the training images."""
        return self._extract(self.train_source)

    @functools.cached_property
    def test(self) -> Features:
        """`Features` of the center crops of the test images."""
        return self._extract(self.test_source)

    def test_batches(self) -> tf.data.Dataset:
        """Returns a dataset of (normalized center crops, labels)."""
        return self._batches(self.test_source)

    @tf.function(reduce_retracing=True)
    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Computes float32 features (N, F) of normalized images (N, size, size, C)."""
        features = self.backbone(images, training=False)
        return tf.stop_gradient(tf.cast(features, tf.float32))

    def _batches(self, source):
        shape = (self.size, self.size, self.statistics.channels)

        def prepare(image, label):
            crop = ops.resize_and_center_crop(image[tf.newaxis], self.resize, self.size)
            return tf.ensure_shape(crop[0], shape), label

        batches = source.dataset().map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        return batches.batch(self.batch_size).map(
            lambda images, labels: (ops.normalize(images, self.statistics), labels)
        )

    def batches_of_features(
        self, source: Source
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Computes the features of center crops, a batch at a time.

        Args:
            source: `bt_keras.data.Source`.

        Yields:
            Tuple of float32 features (N, F) and int64 labels (N,), in file order.
        """
        title = f"features of split {source.split!r} of {source.name!r}"
        total = -(-source.num_images // self.batch_size)
        batches = self._batches(source).prefetch(2)
        for images, labels in track(batches, title, total):
            yield self.features(images).numpy(), labels.numpy()

    def _extract(self, source):
        features, labels = zip(*self.batches_of_features(source), strict=True)
        return Features(np.concatenate(features), np.concatenate(labels))
