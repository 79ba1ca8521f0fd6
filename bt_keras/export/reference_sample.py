"""A few examples with the outputs of the training model, stored in the module.

Users of the module can compare its outputs with them on any machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.augmentation.statistics import IMAGENET, Statistics
from bt_keras.export.image_inputs import ImageInputs
from bt_keras.export.network_inputs import NetworkInputs
from bt_keras.export.saved_model import EMBEDDING, FEATURES, endpoint_name
from bt_keras.files import npz_file
from bt_keras.hub.metadata import SAMPLE

FILE = SAMPLE


def write(
    folder: str | os.PathLike,
    backbone: keras.Model,
    projector: keras.Model | None,
    maps: Mapping[int, keras.KerasTensor],
    inputs: ImageInputs | NetworkInputs,
) -> None:
    """Writes examples and the model's outputs for them.

    Args:
        folder: Path of an existing folder.
        backbone: `keras.Model` from normalized images or other inputs to features.
        projector: `keras.Model` from features to embeddings, or `None`.
        maps: Mapping from stride to feature map, see `networks.feature_maps`.
        inputs: `ImageInputs` or `NetworkInputs`, with the examples.
    """
    values, stored = inputs.sample(Path(folder))
    outputs = backbone(values, training=False)
    arrays = {FEATURES: outputs, **_evaluate_maps(backbone, maps, values)}
    if projector:
        arrays[EMBEDDING] = projector(outputs, training=False)
    arrays = {name: tf.cast(a, tf.float32).numpy() for name, a in arrays.items()}
    everything: Any = {**stored, **arrays}
    np.savez_compressed(Path(folder, FILE), **everything)


def _evaluate_maps(backbone, maps, values):
    if not maps:
        return {}
    outputs = keras.Model(backbone.input, list(maps.values()))(values, training=False)
    names = [endpoint_name(stride) for stride in maps]
    return dict(zip(names, tf.nest.flatten(outputs), strict=True))


def features(
    backbone: keras.Model, images: np.ndarray, statistics: Statistics = IMAGENET
) -> np.ndarray:
    """Computes the features, float32 (N, F), of uint8 images (N, H, W, C)."""
    outputs = backbone(ops.normalize(images, statistics), training=False)
    return tf.cast(outputs, tf.float32).numpy()


def read(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the arrays that `write` wrote, by name."""
    return npz_file.load(Path(folder, FILE))
