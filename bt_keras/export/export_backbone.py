"""Exporting a backbone: a folder for TensorFlow Hub, with all that is known of it.

module/
    saved_model.pb, fingerprint.pb, variables/   the SavedModel
    README.md                                    the model card
    SHA256SUMS                                   of every other file
    assets.extra/bt_keras.json                   what `facts.py` describes
    assets.extra/sample.npz, sample-*.png        what `sample.py` describes
"""

import json
from importlib.metadata import version

from bt_keras import atomic
from bt_keras.errors import UsageError
from bt_keras.export import model_card, reference_sample, saved_model
from bt_keras.hub import checksums, metadata
from bt_keras.model.barlow_twins import BarlowTwins

# The side that encoded images are brought to where nothing says another.
_IMAGE_SIZE = 224
_PACKAGES = ("bt-keras", "tensorflow", "keras", "tensorflow-hub")


def export_backbone(
    model,
    folder,
    *,
    projector=False,
    image_size=None,
    resize_ratio=256 / 224,
    images=None,
    about=None,
):
    """Writes a backbone as a SavedModel that TensorFlow Hub loads.

    Args:
        model: `bt_keras.BarlowTwins`, of which the backbone is written, or a backbone:
            a `keras.Model` from normalised images to features.
        folder: str or path of a folder that does not exist yet or is empty.
        projector: bool, whether the projector of a `bt_keras.BarlowTwins` comes along.
        image_size: optional int > 0, the side in pixels that encoded images are
            brought to; by default the backbone's own, or 224.
        resize_ratio: float >= 1, their shorter side before the central crop, in parts
            of `image_size`; the paper's by default.
        images: optional sequence of uint8 arrays (H, W, 3) of any sizes, a few images
            of the training data. They and their features are kept with the module, to
            hold it against; noise by default.
        about: optional dict, what else the model card is to say, see
            `_collect`.

    The SavedModel has

    - `__call__(inputs, training=False, return_endpoints=False)`: images float32
      (N, H, W, 3) in [0, 1] to features float32 (N, F); with `return_endpoints=True`
      to a dict of those and the feature maps, `"stride4"` to `"stride32"`;
    - `variables`, `trainable_variables`, `regularization_losses`;
    - `projector`, if wanted: features to embeddings, with the same four attributes;
    - the signatures `serving_default` (float32 images in [0, 1]), `uint8` (levels),
      `encoded` (the bytes of JPEG and PNG files, which are resized and cropped),
      `feature_maps`, and with the projector `embedding`.

    Batch norm of several replicas is exported as that of one: no operation waits for
    another device.

    Raises:
        UsageError: if the folder is not empty or cannot be written, there is no
            projector to write, the backbone takes other images than RGB or gives
            something else than (N, F), or an argument is out of its range.

    Example:

    >>> bt_keras.export_backbone(model, "runs/cifar10/module")
    >>> layer = bt_keras.load_backbone("runs/cifar10/module", trainable=True)
    """
    backbone, head = _parts(model, projector)
    image_size = image_size or _own_size(backbone) or _IMAGE_SIZE
    _check(backbone, image_size, resize_ratio, images)
    known = saved_model.interface(backbone, head, image_size, resize_ratio)
    with atomic.atomic_directory(folder) as temporary:
        saved_model.save(backbone, head, str(temporary), known)
        extra = temporary / metadata.FOLDER
        extra.mkdir()
        reference_sample.write(extra, backbone, head, known, images)
        known = _collect(backbone, known, about or {})
        metadata.write(extra, known)
        (temporary / "README.md").write_text(
            model_card.text(known, checksums.of(temporary))
        )
        checksums.write(temporary)


def _parts(model, projector):
    """`(backbone, projector or None)`, what is to be written."""
    if isinstance(model, BarlowTwins):
        return model.backbone, model.projector if projector else None
    if projector:
        raise UsageError(
            f"{model.name!r} is a backbone alone: give export_backbone the "
            "bt_keras.BarlowTwins whose projector is to be written, or projector=False."
        )
    return model, None


def _check(backbone, image_size, resize_ratio, images):
    channels = (getattr(backbone, "input_shape", None) or (3,))[-1]
    if channels != 3:
        raise UsageError(
            f"the backbone {backbone.name!r} takes images of {channels} channels; a "
            "module for TensorFlow Hub takes RGB."
        )
    if not isinstance(image_size, int) or image_size < 1:
        raise UsageError(f"image_size={image_size!r} must be an int above 0.")
    if not resize_ratio >= 1:
        raise UsageError(f"resize_ratio={resize_ratio!r} must be 1 or more.")
    for image in [] if images is None else images:
        shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
        if dtype != "uint8" or shape is None or len(shape) != 3 or shape[2] != 3:
            raise UsageError(
                f"images must be uint8 arrays (H, W, 3); there is one of {dtype} and "
                f"shape {shape}."
            )


def _own_size(backbone):
    """The side of the images of a backbone that takes no others, or None."""
    return (getattr(backbone, "input_shape", None) or (None, None))[1]


def _collect(backbone, interface, about):
    """Gathers what can be said of a module.

    Args:
        backbone: `keras.Model`.
        interface: dict, what `saved_model.interface` returned.
        about: dict of what the networks do not tell, each optional: `"config"`, dict
            of the run's config; `"epochs"`, str, and `"steps"`, int, how long it was
            trained; `"results"`, list of the rows of results.csv; `"license"`, str.

    Returns:
        dict of JSON values.
    """
    return {
        "name": backbone.name,
        "architecture": _architecture(backbone),
        "parameters": backbone.count_params(),
        **interface,
        "versions": {package: version(package) for package in _PACKAGES},
        **about,
    }


def _architecture(backbone):
    try:
        return json.loads(backbone.to_json())
    # Keras raises various errors for what a user's own class lacks.
    except (NotImplementedError, TypeError, ValueError):
        return None
