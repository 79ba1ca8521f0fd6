"""Loads an exported backbone, as a Keras model if it can be rebuilt."""

from __future__ import annotations

import os
import warnings

from bt_keras.errors import UsageError
from bt_keras.files.scratch import scratch_folder
from bt_keras.hub import loaded_backbone, metadata, resolve
from bt_keras.hub.hub_backbone import HubBackbone
from bt_keras.hub.tar_members import MAX_BYTES
from bt_keras.networks import LoadedBackbone


def load_backbone(
    handle: str | os.PathLike,
    trainable: bool = False,
    *,
    return_endpoints: bool = False,
    check_range: bool = True,
    max_bytes: int = MAX_BYTES,
) -> LoadedBackbone | HubBackbone:
    """Loads an exported backbone as a Keras model.

    The model is functional: images pass through a normalization and then through the
    layers of the exported network; other inputs through these layers alone. It has the
    global dtype policy; its outputs are float32. Layers can be frozen and their outputs
    used; `.keras` files of models that contain it need no module.
    `bt_keras.BarlowTwins` and `bt_keras.export_backbone` use its layers behind the
    normalization.

    A module without an architecture, such as one of another author, is loaded as a
    `keras.Layer` that calls the module's graph. This is also done, with a warning, if
    the architecture has classes that are not registered in Keras or run code of their
    own (`keras.layers.Lambda`).

    Args:
        handle: String or path: a SavedModel folder, a `.tar.gz` of one, a `file://`
            URL of either, a TensorFlow Hub handle (a URL), which is downloaded once
            and cached in the folder `TFHUB_CACHE_DIR`, or the name of a published
            model, such as `"fashion_mnist_resnet18_w25"`, which the package contains.
        trainable: Boolean, whether `fit` updates the weights and the batch
            normalization statistics. Defaults to `False`: the backbone then always
            runs in inference mode.
        return_endpoints: Boolean, whether to return the feature maps as well as the
            features. Defaults to `False`.
        check_range: Boolean, whether to raise an error for images outside [0, 1]. Only
            eager calls are checked, not the graphs of `fit` and `predict`. Without
            effect if the module does not take images. Defaults to `True`.
        max_bytes: Integer, the most bytes that the files of an archive may have.
            Defaults to 8 GiB.

    Returns:
        `keras.Model`, or a `keras.Layer` if there is no architecture, from images
        (N, H, W, C) in [0, 1], or from what a module of other inputs takes, to
        features (N, F), float32; with
        `return_endpoints=True` to a dict of `"features"` and the feature maps, from
        `"stride4"` (N, H / 4, W / 4, C) to `"stride32"`.

    Raises:
        UsageError: If the module does not exist, cannot be loaded or cannot be
            trained, or its archive has anything but plain files and folders, more than
            10,000 of them, or more than `max_bytes` bytes. Also raised by calls, for
            images of another shape or range.

    Example:

    >>> bt_keras.export_backbone(bt_keras.resnet(18, width=1 / 16), "module")
    >>> backbone = bt_keras.load_backbone("module", trainable=True)
    >>> backbone.get_layer("conv1").trainable = False
    >>> classifier = keras.Sequential([backbone, keras.layers.Dense(10)])
    >>> classifier(np.zeros((2, 64, 64, 3), "float32")).shape
    TensorShape([2, 10])
    """
    options = {
        "trainable": trainable,
        "return_endpoints": return_endpoints,
        "check_range": check_range,
    }
    problem = None
    with scratch_folder() as scratch:
        folder = resolve.resolve(handle, scratch, max_bytes=max_bytes)
        options["check_range"] &= metadata.takes_images(folder)
        if metadata.has_architecture(folder):
            try:
                return loaded_backbone.load(folder, handle, **options)
            except UsageError as error:
                problem = str(error)
    layer = HubBackbone(handle, max_bytes=max_bytes, **options)
    if problem:
        warnings.warn(
            f"{problem} The module's graph is loaded instead, as a keras.Layer.",
            stacklevel=2,
        )
    return layer
