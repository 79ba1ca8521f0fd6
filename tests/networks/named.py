"""Networks that tests name, and others that cannot be trained by name."""

import functools
import os  # noqa: F401 (its functions are reached by name)

import keras
from keras import layers

SIZE = 8


@keras.saving.register_keras_serializable("tests")
class Scale(layers.Layer):
    """A layer of a user."""

    def call(self, images):
        return 2.0 * images


@keras.saving.register_keras_serializable("tests")
class Subclass(keras.Model):
    """A network without shapes known to Keras."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(6)

    @classmethod
    def from_preset(cls):
        return cls()

    def call(self, images, training=False):
        return self.dense(keras.ops.mean(images, axis=(1, 2)))


class Unregistered(layers.Layer):
    def call(self, images):
        return images


def unregistered_function(x):
    return 2.0 * x


def network(input_shape=None, width=6, pool=True, first=None):
    """Makes a network with Keras's batch normalization and a layer of a user."""
    images = keras.Input(input_shape)
    x = images if first is None else first(images)
    x = layers.Conv2D(width, 3, 2, use_bias=False)(Scale()(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(images, layers.GlobalAveragePooling2D()(x) if pool else x)


def tokens(input_shape):
    maps = network(input_shape, pool=False)
    sequence = layers.Reshape((-1, 6))(maps.output)
    return keras.Model(maps.input, sequence)


def rescaling(input_shape, include_rescaling=True):
    first = layers.Rescaling(1 / 255) if include_rescaling else None
    return network(input_shape, first=first)


def nested_rescaling(input_shape):
    stem = [keras.Input(input_shape), layers.Rescaling(1 / 255), layers.Conv2D(3, 3)]
    return network(input_shape, first=keras.Sequential(stem, name="stem"))


def with_layer(input_shape, layer):
    made = {
        "lambda": lambda: layers.Lambda(abs),
        "class": Unregistered,
        "function": lambda: layers.Activation(unregistered_function),
    }
    return network(input_shape, first=made[layer]())


def raising():
    raise RuntimeError("first line\nsecond line")


def number():
    return 5


partial = functools.partial(network, width=4)


def network_of_32_pixels():
    return network((32, 32, 3))
