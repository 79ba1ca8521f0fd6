"""Models and batches so small that tests train in milliseconds."""

import keras
import numpy as np
import tensorflow as tf

import bt_keras
from bt_keras.networks import BatchNormalization
from bt_keras.networks.resnet import DEPTHS

# Residual networks with one block per stage, of two and of four stages: they trace in a
# fraction of the time of a ResNet-18.
DEPTHS[6] = ("basic", (1, 1))
DEPTHS[10] = ("basic", (1, 1, 1, 1))


def tiny(projector=(16, 16), **kwargs):
    """Builds a network with batch normalization that trains in milliseconds."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, 2, use_bias=False)(inputs)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return bt_keras.BarlowTwins(keras.Model(inputs, x), projector, **kwargs)


def pairs(batches=2, batch=8, size=8, label=False):
    """Makes a dataset of correlated random views; every call gives the same.

    Labels tell views whose mean is above 0.
    """
    a, b = np.random.default_rng(0).normal(size=(2, batches * batch, size, size, 3))
    views = (a.astype("float32"), (a + 0.3 * b).astype("float32"))
    labels = (a.mean(axis=(1, 2, 3)) > 0).astype("int64")
    elements = (views, labels) if label else views
    return tf.data.Dataset.from_tensor_slices(elements).batch(batch)


class Subclass(keras.Model):
    """A backbone without shapes known to Keras."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(6)

    def call(self, images, training=False):
        return self.dense(keras.ops.mean(images, axis=(1, 2)))


def mixed_inputs(projector=(16, 16), **kwargs):
    """Builds a network of rows, series and categories, with sparse gradients."""
    row, series = keras.Input((5,), name="row"), keras.Input((None, 2), name="series")
    category = keras.Input((), dtype="int32", name="category")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(6, 3)(series))
    embedded = keras.layers.Embedding(9, 4)(category)
    x = keras.layers.Concatenate()([row, pooled, embedded])
    x = keras.layers.ReLU()(BatchNormalization()(keras.layers.Dense(12)(x)))
    inputs = {"row": row, "nested": [series, category]}
    return bt_keras.BarlowTwins(keras.Model(inputs, x), projector, **kwargs)


def mixed_pairs(batches=2, batch=8, label=False):
    """Makes a dataset of pairs of views for `mixed_inputs`."""
    rng, count = np.random.default_rng(0), batches * batch
    row, series = rng.normal(size=(count, 5)), rng.normal(size=(count, 7, 2))
    category = rng.integers(0, 9, count).astype("int32")

    def view(noise):
        tensors = [row + noise * rng.normal(size=row.shape), series]
        row_, series_ = (each.astype("float32") for each in tensors)
        return {"row": row_, "nested": (series_, category)}

    views = (view(0.0), view(0.3))
    elements = (views, np.zeros(count)) if label else views
    return tf.data.Dataset.from_tensor_slices(elements).batch(batch)
