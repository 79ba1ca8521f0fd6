"""Frozen features of labelled images: what every evaluator looks at."""

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops


@dataclasses.dataclass(frozen=True)
class Features:
    """The features of one split.

    Args:
        features: float32 array (N, F), as the backbone gives them in evaluation
            mode.
        labels: int64 array (N,).
    """

    features: np.ndarray
    labels: np.ndarray


class FrozenBackbone:
    """A backbone in evaluation mode, and the labelled images to judge it by.

    Args:
        backbone: `keras.Model`, normalised images (N, H, W, 3) to features (N, F).
        train_source: `bt_keras.data.Source` with labels.
        test_source: `bt_keras.data.Source` with labels of the same classes.
        size: int > 0, side of the images the backbone gets, in pixels.
        resize_ratio: float >= 1: the short side is resized to `size * resize_ratio`
            before the centre is cropped; 256 / 224 in the paper.
        batch_size: int > 0.
        seed: int, of the training crops.

    Raises:
        UsageError: if a source has no labels.
    """

    def __init__(
        self,
        backbone,
        train_source,
        test_source,
        size,
        resize_ratio,
        batch_size,
        seed=0,
    ):
        for source in (train_source, test_source):
            source.require_labels("evaluation")
        self.backbone = backbone
        self.train_source = train_source
        self.test_source = test_source
        self.size = size
        self.resize = round(size * resize_ratio)
        self.batch_size = batch_size
        self.seed = seed
        self.num_classes = train_source.num_classes

    @functools.cached_property
    def train(self):
        """`Features` of the training images, each cropped at its centre."""
        return self._extract(self.train_source)

    @functools.cached_property
    def test(self):
        """`Features` of the test images."""
        return self._extract(self.test_source)

    def test_batches(self):
        """Returns a dataset of (normalised centre crops, labels)."""
        return self._batches(self.test_source)

    @tf.function(reduce_retracing=True)
    def features(self, images):
        """From normalised images (N, size, size, 3) to float32 features (N, F)."""
        features = self.backbone(images, training=False)
        return tf.stop_gradient(tf.cast(features, tf.float32))

    def _batches(self, source):
        def prepare(image, label):
            crop = ops.resize_and_center_crop(image[tf.newaxis], self.resize, self.size)
            return tf.ensure_shape(crop[0], (self.size, self.size, 3)), label

        batches = source.dataset().map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        batches = batches.batch(self.batch_size)
        return batches.map(lambda images, labels: (ops.normalize(images), labels))

    def _extract(self, source):
        batches = [
            (self.features(images).numpy(), labels.numpy())
            for images, labels in self._batches(source).prefetch(2)
        ]
        features, labels = zip(*batches, strict=True)
        return Features(np.concatenate(features), np.concatenate(labels))
