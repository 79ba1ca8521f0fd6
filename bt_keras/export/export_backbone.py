"""Export a backbone as a module: a SavedModel folder for TensorFlow Hub.

module/
    saved_model.pb, fingerprint.pb, variables/   the SavedModel
    README.md                                    the model card
    SHA256SUMS                                   checksums of all other files
    assets.extra/bt_keras.json                   see `hub/metadata.py`
    assets.extra/sample.npz, sample-*.png        see `reference_sample.py`
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from bt_keras.errors import UsageError
from bt_keras.export import model_card, reference_sample, saved_model
from bt_keras.export.describe import describe
from bt_keras.export.unfreeze import unfrozen
from bt_keras.files import atomic
from bt_keras.hub import checksums, metadata
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import behind_normalization, feature_maps

_IMAGE_SIZE = 224
_CARD = "README.md"


def export_backbone(
    model: keras.Model,
    folder: str | os.PathLike,
    *,
    projector: bool = False,
    image_size: int | None = None,
    resize_ratio: float = 256 / 224,
    images: Sequence[np.ndarray] | None = None,
    about: Mapping | None = None,
) -> None:
    """Exports a backbone as a SavedModel that TensorFlow Hub loads.

    The SavedModel has

    - `__call__(inputs, training=False, return_endpoints=False)`: from images, float32
      (N, H, W, 3) in [0, 1], to features, float32 (N, F); with
      `return_endpoints=True` to a dict of the features and the feature maps,
      `"stride4"` to `"stride32"`;
    - `variables`, `trainable_variables`, `regularization_losses`;
    - `projector`, if exported: from features to embeddings, with the same attributes;
    - the signatures `serving_default` (float32 images in [0, 1]), `uint8` (8-bit
      levels), `encoded` (JPEG and PNG files, which are resized and cropped),
      `feature_maps`, and with the projector `embedding`.

    The graph contains no cross-replica operations, even if the model was trained with
    synchronized batch normalization. Whatever is frozen in the model, all of the module
    can be trained.

    Args:
        model: `bt_keras.BarlowTwins`, whose backbone is exported, or a backbone: a
            `keras.Model` from normalized images (N, H, W, 3) to features (N, F), or one
            that starts with what `bt_keras.load_backbone` returned.
        folder: String or path of a folder that does not exist yet or is empty.
        projector: Boolean, whether to export the projector of a
            `bt_keras.BarlowTwins`, too. Defaults to `False`.
        image_size: Optional integer, at least 1: side in pixels of the squares that
            encoded images are resized and cropped to. Defaults to the input size of
            the backbone, or `224` if it accepts any size.
        resize_ratio: Float, at least 1: encoded images are resized to
            `resize_ratio * image_size` pixels on the shorter side before the central
            crop. Defaults to `256 / 224`, as in the paper's evaluation.
        images: Optional sequence of uint8 arrays (H, W, 3) of any sizes, a few
            training images. They are stored in the module with their features, as a
            reference for checks. Defaults to random noise.
        about: Optional dict, further content of the model card, each entry optional:
            `"config"`, dict of the run's config; `"epochs"`, string, and `"steps"`,
            integer, the length of the training; `"results"`, list of dicts, the rows
            of results.csv; `"license"`, string, the SPDX name of the weights' license.
            Defaults to `None`.

    Raises:
        UsageError: If the folder is not empty or cannot be written, `projector=True`
            but `model` is a backbone, the backbone does not map RGB images to features
            (N, F), or an argument is out of range.

    Example:

    >>> backbone = bt_keras.resnet(18, width=1 / 16)
    >>> model = bt_keras.BarlowTwins(backbone, projector=(32, 32))
    >>> bt_keras.export_backbone(model, "module", image_size=32)
    >>> layer = bt_keras.load_backbone("module", trainable=True)
    >>> layer(np.zeros((2, 32, 32, 3), "float32")).shape
    TensorShape([2, 32])
    """
    backbone, head = _parts(model, projector)
    image_size = image_size or _input_size(backbone) or _IMAGE_SIZE
    _check(backbone, image_size, resize_ratio, images)
    with unfrozen(backbone, head):
        maps = feature_maps(backbone)
        described = describe(
            backbone,
            head,
            list(maps),
            image_size=image_size,
            resize_ratio=resize_ratio,
            about=about,
        )
        folder = os.path.expanduser(folder)
        # TensorFlow's errors are those of the file system: the model was called before.
        errors = (tf.errors.OpError,)
        with atomic.atomic_directory(folder, errors=errors) as temporary:
            saved_model.save(str(temporary), backbone, head, maps, described)
            extra = temporary / metadata.FOLDER
            extra.mkdir()
            reference_sample.write(extra, backbone, head, maps, described, images)
            _write_documents(temporary, described)


def _write_documents(folder, described):
    """Writes the metadata, the model card and the checksums."""
    described.write(folder / metadata.FOLDER)
    sums = checksums.compute(folder)
    card = folder / _CARD
    card.write_text(model_card.render(described, sums), encoding="utf-8", newline="\n")
    checksums.write(folder, {**sums, _CARD: atomic.sha256(card)})


def _parts(model, projector):
    """Returns `(backbone, projector or None)`, the networks to export."""
    if isinstance(model, BarlowTwins):
        return model.backbone, model.projector if projector else None
    if projector:
        raise UsageError(
            f"{model.name!r} is a backbone without a projector: pass the "
            "bt_keras.BarlowTwins to export_backbone, or projector=False."
        )
    return behind_normalization(model), None


def _check(backbone, image_size, resize_ratio, images):
    channels = (getattr(backbone, "input_shape", None) or (3,))[-1]
    if channels != 3:
        raise UsageError(
            f"the backbone {backbone.name!r} takes images of {channels} channels, but "
            "a module for TensorFlow Hub takes RGB images: train one on RGB images."
        )
    if not isinstance(image_size, int) or image_size < 1:
        raise UsageError(f"image_size={image_size!r} must be an integer above 0.")
    if not resize_ratio >= 1:
        raise UsageError(f"resize_ratio={resize_ratio!r} must be at least 1.")
    for image in [] if images is None else images:
        shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
        if dtype != "uint8" or shape is None or len(shape) != 3 or shape[2] != 3:
            raise UsageError(
                "images must be uint8 arrays (H, W, 3), but one of them has dtype "
                f"{dtype} and shape {shape}."
            )


def _input_size(backbone):
    """Returns the side of the images that a backbone takes, `None` for any size."""
    return (getattr(backbone, "input_shape", None) or (None, None))[1]
