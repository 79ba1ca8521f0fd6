"""Images with one gray level per class, and a backbone of the mean color."""

import keras
import numpy as np
import tensorflow as tf

from bt_keras import data
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.networks import BatchNormalization


def gray_levels(counts, seed=0):
    """Returns a source of three classes of gray level, in mixed order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(3), counts))
    images = 40 + 70 * labels[:, None, None, None]
    images = images + rng.integers(0, 30, (len(labels), 8, 8, 3))
    pairs = (images.astype("uint8"), labels)
    source = tf.data.Dataset.from_tensor_slices(pairs)
    return data.from_dataset(source, class_names=("dark", "gray", "light"))


def frozen_mean_color():
    """Returns a `FrozenBackbone` with random features of the mean color."""
    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    # tanh: the features' direction and length depend on the color.
    backbone = keras.Model(inputs, keras.layers.Dense(16, "tanh")(pooled))
    sources = gray_levels((40, 40, 40)), gray_levels((20, 20, 20), seed=1)
    return FrozenBackbone(backbone, *sources, 8, 1.0, batch_size=32)


def small_backbone():
    """Returns a trainable backbone with a convolution and batch normalization."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 3, use_bias=False)(inputs)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def trainable():
    """Returns a `FrozenBackbone` whose copies can be trained."""
    sources = gray_levels((40, 40, 40)), gray_levels((20, 20, 20), seed=1)
    return FrozenBackbone(small_backbone(), *sources, 8, 1.0, batch_size=32)


def scores(evaluator, frozen):
    """Runs an evaluator with one measurement; returns its values by metric."""
    [results] = evaluator.run(frozen)
    return {result.metric: result.value for result in results}
