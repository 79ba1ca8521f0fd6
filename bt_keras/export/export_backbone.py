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
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bt_keras.augmentation.statistics import Statistics
from bt_keras.errors import UsageError
from bt_keras.export import model_card, reference_sample, saved_model
from bt_keras.export.describe import describe
from bt_keras.export.image_inputs import image_inputs
from bt_keras.export.network_inputs import network_inputs
from bt_keras.export.unfreeze import unfrozen
from bt_keras.files import atomic
from bt_keras.hub import checksums, metadata
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import (
    as_model,
    behind_normalization,
    feature_maps,
    input_specs,
)

CARD = "README.md"


def export_backbone(
    model: keras.Model,
    folder: str | os.PathLike,
    *,
    projector: bool = False,
    image_size: int | None = None,
    resize_ratio: float = 256 / 224,
    images: Sequence[np.ndarray] | None = None,
    about: Mapping | None = None,
    normalize: bool | None = None,
    statistics: Statistics | None = None,
    examples: Any = None,
) -> None:
    """Exports a backbone as a SavedModel that TensorFlow Hub loads.

    The SavedModel of a backbone of images has

    - `__call__(inputs, training=False, return_endpoints=False)`: from images, float32
      (N, H, W, C) in [0, 1], to features, float32 (N, F); with
      `return_endpoints=True` to a dict of the features and the feature maps,
      `"stride4"` to `"stride32"`;
    - `variables`, `trainable_variables`, `regularization_losses`;
    - `projector`, if exported: from features to embeddings, with the same attributes;
    - the signatures `serving_default` (float32 images in [0, 1]), `uint8` (8-bit
      levels), `encoded` (JPEG and PNG files, which are resized and cropped; not for
      bands other than RGB or gray), `feature_maps`, and with the projector
      `embedding`.

    Any other backbone gives a module that takes what the backbone takes, a tensor or a
    nest of tensors. Its signatures are `serving_default`, with the names of the
    backbone's inputs (`inputs` if it is one tensor), and `embedding`.

    The graph contains no cross-replica operations, even if the model was trained with
    synchronized batch normalization. Whatever is frozen in the model, all of the module
    can be trained.

    Args:
        model: `bt_keras.BarlowTwins`, whose backbone is exported, or a backbone: a
            `keras.Model` from normalized images (N, H, W, C) or any other inputs to
            features (N, F), or one that starts with what `bt_keras.load_backbone`
            returned.
        folder: String or path of a folder that does not exist yet or is empty.
        projector: Boolean, whether to export the projector of a
            `bt_keras.BarlowTwins`, too. Defaults to `False`.
        image_size: Optional integer, at least 1: side in pixels of the squares that
            encoded images are resized and cropped to. Defaults to the input size of
            the backbone, or `224` if it accepts any size.
        resize_ratio: Float, at least 1: encoded images are resized to
            `resize_ratio * image_size` pixels on the shorter side before the central
            crop. Defaults to `256 / 224`, as in the paper's evaluation.
        images: Optional sequence of uint8 arrays (H, W, C) of any sizes, a few
            training images. They are stored in the module with their features, as a
            reference for checks. Defaults to random noise.
        about: Optional dict, further content of the model card, each entry optional:
            `"config"`, dict of the run's config; `"epochs"`, string, and `"steps"`,
            integer, the length of the training; `"results"`, list of dicts, the rows
            of results.csv; `"license"`, string, the SPDX name of the weights' license;
            `"published"`, string, the name of a published model; `"commands"`,
            `"latency"` and `"limits"`, lists of strings: how it was measured, its
            times, and what it is not for. Defaults to `None`.
        normalize: Optional boolean, whether the module takes images in [0, 1] and
            normalizes them; otherwise it takes what the backbone takes. Defaults to
            `None`: `True` if that is one float tensor (N, H, W, C).
        statistics: `bt_keras.Statistics`, or another pair (mean, deviation), with which
            the training images were normalized. Defaults to those of the module that
            the backbone was loaded from, or else to ImageNet's.
        examples: Optional nest of arrays, a few inputs of a backbone that does not take
            images, stored as `images` are. Defaults to random numbers, with sequences
            of 16 where the backbone takes any length.

    Raises:
        UsageError: If the folder is not empty or cannot be written, `projector=True`
            but `model` is a backbone, the backbone does not return features (N, F), or
            an argument does not fit the backbone or is out of range.

    Example:

    >>> backbone = bt_keras.resnet(18, width=1 / 16)
    >>> model = bt_keras.BarlowTwins(backbone, projector=(32, 32))
    >>> bt_keras.export_backbone(model, "module", image_size=32)
    >>> layer = bt_keras.load_backbone("module", trainable=True)
    >>> layer(np.zeros((2, 32, 32, 3), "float32")).shape
    TensorShape([2, 32])
    """
    backbone, head = _parts(model, projector)
    if _takes_images(backbone, normalize):
        _check_unused(backbone, "images", examples=examples)
        inputs: Any = image_inputs(
            backbone, statistics, image_size, resize_ratio, images
        )
    else:
        unused = {"images": images, "image_size": image_size, "statistics": statistics}
        _check_unused(backbone, "no images", **unused)
        inputs = network_inputs(backbone, examples)
    with unfrozen(backbone, head):
        _write(os.path.expanduser(folder), backbone, head, inputs, about)


def _write(folder, backbone, head, inputs, about):
    """Writes the whole folder or nothing."""
    maps = feature_maps(backbone)
    described = describe(backbone, head, list(maps), inputs, about)
    # TensorFlow's errors are those of the file system: the model was called before.
    errors = (tf.errors.OpError,)
    with atomic.atomic_directory(folder, errors=errors) as temporary:
        saved_model.save(str(temporary), backbone, head, maps, inputs, described)
        extra = temporary / metadata.FOLDER
        extra.mkdir()
        reference_sample.write(extra, backbone, head, maps, inputs)
        _write_documents(temporary, described)


def _write_documents(folder, described):
    """Writes the metadata, the model card and the checksums."""
    described.write(folder / metadata.FOLDER)
    sums = checksums.compute(folder)
    card = folder / CARD
    card.write_text(model_card.render(described, sums), encoding="utf-8", newline="\n")
    checksums.write(folder, {**sums, CARD: atomic.sha256(card)})


def _parts(model, projector):
    """Returns `(backbone, projector or None)`, the networks to export."""
    if isinstance(model, BarlowTwins):
        return _as_model(model.backbone), model.projector if projector else None
    if projector:
        raise UsageError(
            f"{model.name!r} is a backbone without a projector: pass the "
            "bt_keras.BarlowTwins to export_backbone, or projector=False."
        )
    return _as_model(behind_normalization(model)), None


def _as_model(backbone):
    return backbone if isinstance(backbone, keras.Model) else as_model(backbone)


def _takes_images(backbone, normalize):
    """Returns whether the module of a backbone takes images in [0, 1]."""
    specs = input_specs(backbone)
    is_tensor = specs is None or isinstance(specs, tf.TensorSpec)
    can_be = is_tensor and (
        specs is None or (specs.shape.rank == 4 and specs.dtype.is_floating)
    )
    if normalize and not can_be:
        raise UsageError(
            f"normalize=True is for images (N, H, W, C), which the backbone "
            f"{backbone.name!r} does not take: leave it out."
        )
    return can_be if normalize is None else normalize


def _check_unused(backbone, takes, **arguments):
    for name, value in arguments.items():
        if value is not None:
            raise UsageError(
                f"{name} cannot be given: the module of the backbone "
                f"{backbone.name!r} takes {takes}."
            )
