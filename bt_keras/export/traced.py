"""Backbones as TensorFlow functions, which other formats are converted from."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from bt_keras.augmentation.statistics import Statistics
from bt_keras.export import preprocessing
from bt_keras.export.saved_model import FEATURES

INPUTS = "inputs"


def traced(
    backbone: keras.Model, shape: Sequence[int | None], statistics: Statistics
) -> tf.types.experimental.PolymorphicFunction:
    """Makes a function of a backbone in inference mode.

    Args:
        backbone: `keras.Model` from normalized images (N, H, W, C) to features (N, F).
            It must live as long as the function.
        shape: Shape of the images, with `None` for sizes that may vary.
        statistics: `Statistics` for the normalization.

    Returns:
        `tf.function` from `inputs`, images in [0, 1], to a dict of the `features`.
    """

    @tf.function(input_signature=[tf.TensorSpec(shape, name=INPUTS)])
    def features(inputs):
        normalized = preprocessing.normalize(inputs, statistics)
        outputs = backbone(normalized, training=False)
        return {FEATURES: tf.cast(outputs, tf.float32)}

    return features
