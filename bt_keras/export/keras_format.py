"""Backbones as `.keras` files that Keras loads without bt_keras."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.hub import architecture
from bt_keras.networks import BatchNormalization, Conv2D


def writer(
    backbone: keras.Model, image_size: int, statistics: Statistics
) -> Callable[[Path], None]:
    """Returns a function that writes a `.keras` file, see `formats`."""
    return with_keras_layers(backbone, statistics).save


def features(path: str | os.PathLike, images: np.ndarray) -> np.ndarray:
    """Computes features with a `.keras` file, see `formats`."""
    return keras.models.load_model(path, compile=False)(images).numpy()


def with_keras_layers(
    backbone: keras.Model, statistics: Statistics = IMAGENET
) -> keras.Model:
    """Copies a backbone into a model of Keras's own layers, normalization included.

    `bt_keras` convolutions and batch normalization become Keras's. The outputs in
    inference mode are the same; in training, Keras uses the biased variance for the
    moving variance and does not synchronize the statistics over replicas.

    Args:
        backbone: `keras.Model` from normalized images (N, H, W, C) to features (N, F).
        statistics: `Statistics` for the normalization. Defaults to those of ImageNet.

    Returns:
        `keras.Model` from images (N, H, W, C) in [0, 1] to features, float32.
    """
    clone = keras.models.clone_model(backbone, clone_function=_keras_layer)
    clone.set_weights(backbone.get_weights())
    clone.name = "backbone"
    inputs = keras.Input(backbone.input_shape[1:], name="images")
    normalize = keras.layers.Normalization(
        mean=statistics.mean,
        variance=[deviation**2 for deviation in statistics.deviation],
        dtype="float32",
        name="normalize",
    )
    as_float32 = keras.layers.Activation("linear", dtype="float32", name="features")
    outputs = as_float32(clone(normalize(inputs)))
    return keras.Model(inputs, outputs, name=backbone.name)


def in_float32(backbone: keras.Model) -> keras.Model:
    """Returns the backbone, or a float32 copy if it computes in mixed precision."""
    if all(layer.compute_dtype == "float32" for layer in backbone.layers):
        return backbone

    clone = architecture.build(json.loads(backbone.to_json()), "float32")
    clone.set_weights(backbone.get_weights())
    return clone


def _keras_layer(layer):
    config = layer.get_config()
    if isinstance(layer, BatchNormalization):
        return keras.layers.BatchNormalization.from_config(config)
    if isinstance(layer, Conv2D):
        return keras.layers.Conv2D.from_config(config)
    # Only Keras on TensorFlow has synchronized batch normalization.
    if isinstance(layer, keras.layers.BatchNormalization):
        config = {**config, "synchronized": False}
    return type(layer).from_config(config)
