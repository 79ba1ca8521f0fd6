"""Features of a frozen backbone, which the evaluators share."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.data import Source
from bt_keras.errors import UsageError
from bt_keras.evaluation import extraction, feature_identity
from bt_keras.evaluation.feature_folder import FeatureFolder
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.pretext import Pretext
from bt_keras.networks import feature_dim
from bt_keras.progress_bar import track


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
        folder: `FeatureFolder` that keeps the features. Defaults to `None`: they are
            kept as long as they are used.
        strategy: `tf.distribute.Strategy` of one process; its replicas share the
            computation of `train` and `test`. Defaults to `None`: one device.
        pretext: `Pretext`, what the backbone was pretrained with. Defaults to `None`:
            unknown.

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
        folder: FeatureFolder | None = None,
        strategy: tf.distribute.Strategy | None = None,
        pretext: Pretext | None = None,
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
        self.needs_labels = needs_labels
        self.pretext = pretext
        self._folder = folder or FeatureFolder()
        self._strategy = strategy or tf.distribute.get_strategy()

    @property
    def train(self) -> Features:
        """`Features` of the center crops of the training images."""
        return self._checked(self._train, self.train_source)

    @property
    def test(self) -> Features:
        """`Features` of the center crops of the test images."""
        return self._checked(self._test, self.test_source)

    @functools.cached_property
    def _train(self):
        return self._extract(self.train_source)

    @functools.cached_property
    def _test(self):
        return self._extract(self.test_source)

    def test_batches(self) -> tf.data.Dataset:
        """Returns the center crops of the test images, see `center_crops`."""
        return self.center_crops(self.test_source)

    @tf.function(reduce_retracing=True)
    def features(self, images: tf.Tensor) -> tf.Tensor:
        """Computes float32 features (N, F) of normalized images (N, size, size, C)."""
        features = self.backbone(images, training=False)
        return tf.stop_gradient(tf.cast(features, tf.float32))

    def center_crops(self, source: Source, first: int = 0) -> tf.data.Dataset:
        """Returns batches of (normalized center crops, labels) in file order.

        Args:
            source: `bt_keras.data.Source`.
            first: Integer, the position of the first image. Defaults to `0`.
        """
        sizes = self.size, self.resize, self.batch_size
        return center_crops(source, *sizes, self.statistics, first)

    def batches_of_features(
        self, source: Source, first: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Computes the features of center crops, a batch at a time.

        Args:
            source: `bt_keras.data.Source`.
            first: Integer, the position of the first image. Defaults to `0`.

        Yields:
            Tuple of float32 features (N, F) and int64 labels (N,), in file order.
        """
        title = f"features of split {source.split!r} of {source.name!r}"
        total = -(-(source.num_images - first) // self.batch_size)
        batches = self.center_crops(source, first).prefetch(2)
        started: list[tuple] = []
        for images, labels in track(batches, title, total):
            if self._has_labels(source):
                _check_labels(labels.numpy(), source)
            started.append((self._start_batch(images), labels))
            if len(started) > 1:
                yield _finish_batch(started.pop(0))
        yield from map(_finish_batch, started)

    @functools.cached_property
    def _start_batch(self):
        return extraction.on_replicas(self.backbone, self._strategy)

    def _extract(self, source):
        return self._folder.features(
            feature_identity.of_images(source),
            (source.num_images, feature_dim(self.backbone)),
            functools.partial(self.batches_of_features, source),
        )

    def _checked(self, features, source):
        if self._has_labels(source):  # Those of the folder have not been checked.
            _check_labels(features.labels, source)
        return features

    def _has_labels(self, source):
        # Images with several labels each have no class names.
        return self.needs_labels and source.class_names is not None


def center_crops(
    source: Source,
    size: int,
    resize: int,
    batch_size: int,
    statistics: Statistics = IMAGENET,
    first: int = 0,
) -> tf.data.Dataset:
    """Makes batches of the images as a backbone is evaluated on them.

    Args:
        source: `bt_keras.data.Source`.
        size: Integer > 0, side of the crops in pixels.
        resize: Integer >= `size`, to which the short side of an image is resized first.
        batch_size: Integer > 0.
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.
        first: Integer, the position of the first image. Defaults to `0`.

    Returns:
        `tf.data.Dataset` of (normalized center crops, labels), in file order.
    """

    def prepare(image, label):
        crop = ops.resize_and_center_crop(image[tf.newaxis], resize, size)
        return tf.ensure_shape(crop[0], (size, size, statistics.channels)), label

    images = source.dataset(first)
    batches = images.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    return batches.batch(batch_size).map(
        lambda images, labels: (ops.normalize(images, statistics), labels)
    )


def _check_labels(labels, source):
    """Raises an error for images of a labeled data set that have no labels."""
    if (labels < 0).any():
        raise UsageError(
            f"images of the split {source.split!r} of {source.name!r} have no label "
            "(-1): choose another split with --train_split or --test_split."
        )


def _finish_batch(started):
    wait, labels = started
    return wait(), labels.numpy()
