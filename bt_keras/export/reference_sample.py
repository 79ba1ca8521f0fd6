"""A few images and what the training model makes of them, kept with the module.

Whoever loads the module can hold it against these, wherever and with whatever.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation import ops
from bt_keras.export.saved_model import EMBEDDING, FEATURES, endpoint_name
from bt_keras.networks import feature_maps

FILE = "sample.npz"
# PNG files, of which resizing and cropping makes the `images` of the arrays.
FILES = "sample-*.png"
_COUNT = 4


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


def write(folder, backbone, projector, known, images=None):
    """Writes images and what the model makes of them.

    Args:
        folder: path of an existing folder.
        backbone: `keras.Model`, normalised images to features.
        projector: `keras.Model`, features to embeddings, or None.
        known: dict, what `saved_model.interface` returned for them.
        images: optional sequence of uint8 arrays (H, W, 3) of any sizes; noise by
            default, and for a backbone of another size than files are brought to.
    """
    takes_files = "encoded" in known["signatures"]
    if images is None or not takes_files:
        images = _noise(known)
    if takes_files:
        for number, image in enumerate(images):
            name = FILES.replace("*", f"{number:02d}")
            Path(folder, name).write_bytes(tf.io.encode_png(image).numpy())
        images = cropped(images, known["image_size"], known["resize_ratio"])
    inputs = ops.normalize(images)
    outputs = backbone(inputs, training=False)
    arrays = {FEATURES: outputs, **_maps(backbone, inputs)}
    if projector:
        arrays[EMBEDDING] = projector(outputs, training=False)
    arrays = {name: tf.cast(a, tf.float32).numpy() for name, a in arrays.items()}
    np.savez_compressed(Path(folder, FILE), images=images, **arrays)


def _noise(known):
    """Images for a backbone that nothing is known of but its input."""
    sides = [side or known["image_size"] for side in known["input_shape"][1:3]]
    return np.random.default_rng(0).integers(0, 256, (_COUNT, *sides, 3), np.uint8)


def _maps(backbone, inputs):
    maps = feature_maps(backbone)
    if not maps:
        return {}
    outputs = keras.Model(backbone.input, list(maps.values()))(inputs, training=False)
    names = [endpoint_name(stride) for stride in maps]
    return dict(zip(names, tf.nest.flatten(outputs), strict=True))


def features(backbone, images):
    """Returns the features, float32 array (N, F), of levels, uint8 (N, H, W, 3)."""
    outputs = backbone(ops.normalize(images), training=False)
    return tf.cast(outputs, tf.float32).numpy()


def read(folder):
    """Returns the dict of arrays that `write` wrote."""
    with np.load(Path(folder, FILE)) as file:
        return dict(file)
