"""A few images with the outputs of the training model, stored in the module.

Users of the module can compare its outputs with them on any machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.export.saved_model import EMBEDDING, FEATURES, endpoint_name
from bt_keras.files import npz_file
from bt_keras.hub.metadata import SAMPLE, ModuleMetadata

FILE = SAMPLE
# PNG files; resized and cropped, they are the `images` of the arrays.
FILES = "sample-*.png"
_COUNT = 4


def resize_and_crop(
    images: Sequence[np.ndarray], image_size: int, resize_ratio: float
) -> np.ndarray:
    """Resizes and crops images to one size, as the evaluation does.

    Args:
        images: Sequence of uint8 arrays (H, W, 3) of any sizes.
        image_size: Integer, side of the crops in pixels.
        resize_ratio: Float, at least 1: the shorter side before the crop is
            `resize_ratio * image_size` pixels.

    Returns:
        Uint8 array (N, image_size, image_size, 3).
    """
    resize = round(image_size * resize_ratio)
    crops = [
        ops.resize_and_center_crop(image[np.newaxis], resize, image_size)
        for image in images
    ]
    return np.concatenate(crops)


def write(
    folder: str | os.PathLike,
    backbone: keras.Model,
    projector: keras.Model | None,
    maps: Mapping[int, keras.KerasTensor],
    metadata: ModuleMetadata,
    images: Sequence[np.ndarray] | None = None,
) -> None:
    """Writes images and the model's outputs for them.

    Args:
        folder: Path of an existing folder.
        backbone: `keras.Model` from normalized images to features.
        projector: `keras.Model` from features to embeddings, or `None`.
        maps: Mapping from stride to feature map, see `networks.feature_maps`.
        metadata: `ModuleMetadata` of the module.
        images: Optional sequence of uint8 arrays (H, W, 3) of any sizes. Defaults to
            random noise, which is also used if the module has no signature `encoded`.
    """
    accepts_files = "encoded" in metadata.signatures
    if images is None or not accepts_files:
        sides = [side or metadata.image_size for side in metadata.input_shape[1:3]]
        images = list(noise(*sides))
    if accepts_files:
        for number, image in enumerate(images):
            name = FILES.replace("*", f"{number:02d}")
            Path(folder, name).write_bytes(tf.io.encode_png(image).numpy())
        crops = resize_and_crop(images, metadata.image_size, metadata.resize_ratio)
    else:
        crops = np.asarray(images)
    inputs = ops.normalize(crops)
    outputs = backbone(inputs, training=False)
    arrays = {FEATURES: outputs, **_evaluate_maps(backbone, maps, inputs)}
    if projector:
        arrays[EMBEDDING] = projector(outputs, training=False)
    arrays = {name: tf.cast(a, tf.float32).numpy() for name, a in arrays.items()}
    np.savez_compressed(Path(folder, FILE), images=crops, **arrays)


def noise(height: int, width: int | None = None) -> np.ndarray:
    """Draws random images, always the same.

    Args:
        height: Integer, in pixels.
        width: Optional integer. Defaults to the height.

    Returns:
        Uint8 array (4, height, width, 3).
    """
    shape = (_COUNT, height, width or height, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _evaluate_maps(backbone, maps, inputs):
    if not maps:
        return {}
    outputs = keras.Model(backbone.input, list(maps.values()))(inputs, training=False)
    names = [endpoint_name(stride) for stride in maps]
    return dict(zip(names, tf.nest.flatten(outputs), strict=True))


def features(backbone: keras.Model, images: np.ndarray) -> np.ndarray:
    """Computes the features, float32 (N, F), of uint8 images (N, H, W, 3)."""
    outputs = backbone(ops.normalize(images), training=False)
    return tf.cast(outputs, tf.float32).numpy()


def read(folder: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the arrays that `write` wrote, by name."""
    return npz_file.load(Path(folder, FILE))
