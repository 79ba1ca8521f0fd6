"""A few images and what the training model makes of them, kept with the module.

Whoever loads the module can hold it against these, wherever and with whatever.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.hub import preprocessing
from bt_keras.hub.saved_model import EMBEDDING, FEATURES, endpoint_name
from bt_keras.networks import feature_maps

FILE = "sample.npz"
# PNG files, of which resizing and cropping makes the `images` of the arrays.
FILES = "sample-*.png"
_COUNT = 4


def noise(backbone, image_size):
    """Makes images for a backbone that nothing is known of but its input.

    Args:
        backbone: `keras.Model`.
        image_size: int, the side in pixels where the backbone takes any.

    Returns:
        uint8 array (4, H, W, C).
    """
    shape = getattr(backbone, "input_shape", None) or (None, None, None, 3)
    height, width, channels = shape[1:]
    shape = (_COUNT, height or image_size, width or image_size, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def cropped(images, image_size, resize_ratio):
    """Brings images to one size, as evaluation does.

    Args:
        images: sequence of uint8 arrays (H, W, 3) of any sizes.
        image_size: int, pixels.
        resize_ratio: float >= 1.

    Returns:
        uint8 array (N, image_size, image_size, 3).
    """
    resize = round(image_size * resize_ratio)
    crops = [
        ops.resize_and_center_crop(image[np.newaxis], resize, image_size)
        for image in images
    ]
    return np.concatenate(crops)


def write(folder, backbone, projector, images, files=()):
    """Writes the images and what the model makes of them.

    Args:
        folder: path of an existing folder.
        backbone: `keras.Model`, normalised images to features.
        projector: `keras.Model`, features to embeddings, or None.
        images: uint8 array (N, H, W, C), as the backbone takes them.
        files: sequence of uint8 arrays (H, W, 3), what `cropped` made `images` of.
    """
    for number, image in enumerate(files):
        name = FILES.replace("*", f"{number:02d}")
        Path(folder, name).write_bytes(tf.io.encode_png(image).numpy())
    inputs = preprocessing.normalize(preprocessing.from_uint8(images))
    outputs = backbone(inputs, training=False)
    arrays = {FEATURES: outputs, **_maps(backbone, inputs)}
    if projector:
        arrays[EMBEDDING] = projector(outputs, training=False)
    arrays = {name: tf.cast(a, tf.float32).numpy() for name, a in arrays.items()}
    arrays["images"] = images
    np.savez_compressed(Path(folder, FILE), **arrays)


def _maps(backbone, inputs):
    maps = feature_maps(backbone)
    if not maps:
        return {}
    outputs = keras.Model(backbone.input, list(maps.values()))(inputs, training=False)
    names = [endpoint_name(stride) for stride in maps]
    return dict(zip(names, tf.nest.flatten(outputs), strict=True))


def features(backbone, images):
    """Returns the features, float32 array (N, F), of levels, uint8 (N, H, W, C)."""
    inputs = preprocessing.normalize(preprocessing.from_uint8(images))
    return tf.cast(backbone(inputs, training=False), tf.float32).numpy()


def read(folder):
    """Returns the dict of arrays that `write` wrote."""
    with np.load(Path(folder, FILE)) as file:
        return dict(file)
