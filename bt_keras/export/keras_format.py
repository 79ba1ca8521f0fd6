"""Backbones as `.keras` files of Keras's own layers alone."""

import keras

from bt_keras.augmentation.ops import IMAGENET_MEAN, IMAGENET_STD
from bt_keras.networks import BatchNormalization


def portable(backbone):
    """Makes a model that Keras loads without bt_keras, images in [0, 1] to features.

    Batch norm becomes Keras's own. Evaluated it gives the same; trained further, its
    moving variance is the biased one, and not synchronised over replicas.

    Args:
        backbone: `keras.Model`, normalised images to features (N, F).

    Returns:
        `keras.Model`, images (N, H, W, C) in [0, 1] to features, float32.
    """
    clone = keras.models.clone_model(backbone, clone_function=_portable_layer)
    clone.set_weights(backbone.get_weights())
    clone.name = "backbone"
    inputs = keras.Input(backbone.input_shape[1:], name="images")
    normalize = keras.layers.Normalization(
        mean=IMAGENET_MEAN,
        variance=[deviation**2 for deviation in IMAGENET_STD],
        dtype="float32",
        name="normalize",
    )
    as_float32 = keras.layers.Activation("linear", dtype="float32", name="features")
    outputs = as_float32(clone(normalize(inputs)))
    return keras.Model(inputs, outputs, name=backbone.name)


def in_float32(backbone):
    """Returns the backbone, or a copy of it, that computes in float32 throughout."""
    if all(layer.compute_dtype == "float32" for layer in backbone.layers):
        return backbone

    def copied(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    clone = keras.models.clone_model(backbone, clone_function=copied)
    clone.set_weights(backbone.get_weights())
    return clone


def _portable_layer(layer):
    config = layer.get_config()
    if isinstance(layer, BatchNormalization):
        return keras.layers.BatchNormalization.from_config(config)
    return type(layer).from_config(config)
