"""Backbones as SavedModels: written with the Reusable SavedModel interface.

`hub.load`, `hub.KerasLayer` and `bt_keras.load_backbone` can train what is written here
further, in processes that have no bt_keras. It takes images in [0, 1] and normalises
them inside.
"""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from bt_keras.augmentation.ops import IMAGENET_MEAN, IMAGENET_STD
from bt_keras.errors import UsageError
from bt_keras.model import BarlowTwins


class _Module(tf.train.Checkpoint):
    """The object that is saved; its attributes are the interface."""

    def __init__(self, backbone):
        self._backbone = backbone
        super().__init__(
            variables=[v.value for v in backbone.variables],
            trainable_variables=[v.value for v in backbone.trainable_variables],
            regularization_losses=[],
        )

    @tf.function
    def __call__(self, inputs, training=False):
        """Features (N, F), float32, of images (N, H, W, 3) in [0, 1]."""
        mean = tf.constant(IMAGENET_MEAN, tf.float32)
        deviation = tf.constant(IMAGENET_STD, tf.float32)
        images = (tf.cast(inputs, tf.float32) - mean) / deviation
        return tf.cast(self._backbone(images, training=training), tf.float32)


def export_backbone(model, folder):
    """Writes a backbone as a SavedModel.

    Args:
        model: `bt_keras.BarlowTwins`, of which the backbone is written, or a backbone:
            a `keras.Model` from normalised images to features.
        folder: str or path of a folder that does not exist yet or is empty.

    The SavedModel has `__call__(inputs, training)` for both values of `training`,
    `variables`, `trainable_variables`, `regularization_losses`, and the signature
    `serving_default`: inputs float32 (N, H, W, 3) in [0, 1], features float32 (N, F).

    Raises:
        UsageError: if the folder is not empty or cannot be written.

    Example:

    >>> bt_keras.export_backbone(model, "runs/cifar10/module")
    >>> layer = bt_keras.load_backbone("runs/cifar10/module", trainable=True)
    """
    backbone = model.backbone if isinstance(model, BarlowTwins) else model
    folder = Path(folder)
    module = _Module(backbone)
    # A subclass of keras.Model has no `input_shape`.
    shape = getattr(backbone, "input_shape", None) or (None, None, None, 3)
    spec = tf.TensorSpec(shape, tf.float32, name="inputs")
    for training in (True, False):
        module.__call__.get_concrete_function(spec, training=training)

    @tf.function(input_signature=[spec])
    def serve(inputs):
        return {"features": module(inputs, training=False)}

    with _written_whole(folder) as temporary:
        tf.saved_model.save(module, temporary, {"serving_default": serve})


@contextmanager
def _written_whole(folder):
    """Yields a temporary folder that becomes `folder` if nothing goes wrong."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is there already and not empty: remove it, or export to "
            "another folder."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror} ({error.filename})."
        ) from error
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
