"""Exporting a backbone: a folder for TensorFlow Hub, with all that is known of it.

module/
    saved_model.pb, fingerprint.pb, variables/   the SavedModel
    README.md                                    the model card
    SHA256SUMS                                   of every other file
    assets.extra/bt_keras.json                   what `facts.py` describes
    assets.extra/sample.npz                      what `sample.py` describes
"""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from bt_keras.errors import UsageError
from bt_keras.hub import card, checksums, facts, sample, saved_model
from bt_keras.model import BarlowTwins

# The side that encoded images are brought to where nothing says another.
_IMAGE_SIZE = 224


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
            `bt_keras.hub.facts.collect`.

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
        UsageError: if the folder is not empty or cannot be written, or there is no
            projector to write.

    Example:

    >>> bt_keras.export_backbone(model, "runs/cifar10/module")
    >>> layer = bt_keras.load_backbone("runs/cifar10/module", trainable=True)
    """
    whole = isinstance(model, BarlowTwins)
    if projector and not whole:
        raise UsageError(
            f"{model.name!r} is a backbone alone: give export_backbone the "
            "bt_keras.BarlowTwins whose projector is to be written, or projector=False."
        )
    backbone = model.backbone if whole else model
    head = model.projector if projector else None
    image_size = image_size or _own_size(backbone) or _IMAGE_SIZE
    _check(backbone, image_size, images)
    takes_files = (
        "encoded" in saved_model.interface(backbone, head, image_size)["signatures"]
    )
    if images is None or not takes_files:
        images = sample.noise(backbone, image_size)
    files = images if takes_files else []
    if takes_files:
        images = sample.cropped(images, image_size, resize_ratio)
    with written_whole(Path(folder)) as temporary:
        saved_model.save(backbone, head, str(temporary), image_size, resize_ratio)
        extra = temporary / "assets.extra"
        extra.mkdir()
        sample.write(extra, backbone, head, images, files)
        known = facts.collect(backbone, head, image_size, resize_ratio, about or {})
        facts.write(extra, known)
        sums = checksums.of(temporary)
        (temporary / "README.md").write_text(card.text(known, sums))
        checksums.write(temporary)


def _check(backbone, image_size, images):
    channels = (getattr(backbone, "input_shape", None) or (3,))[-1]
    if channels != 3:
        raise UsageError(
            f"the backbone {backbone.name!r} takes images of {channels} channels; a "
            "module for TensorFlow Hub takes RGB."
        )
    if not isinstance(image_size, int) or image_size < 1:
        raise UsageError(f"image_size={image_size!r} must be an int above 0.")
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


@contextmanager
def written_whole(target):
    """Yields a temporary folder that becomes `target` if nothing goes wrong.

    Args:
        target: path that does not exist yet, or of an empty folder.

    Raises:
        UsageError: if it is taken or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(
            f"{target} is there already and not empty: remove it, or export to "
            "another folder."
        )
    target = target.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-")
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written: {error.strerror} ({error.filename})."
        ) from error
    try:
        yield Path(temporary)
        os.chmod(temporary, 0o755)
        os.replace(temporary, target)
    except OSError as error:
        raise UsageError(
            f"{target} cannot be written: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
