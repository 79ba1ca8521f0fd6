"""What is known of an exported module, as JSON next to it.

The model card is made of it, `--verify` holds the module against it, and from its
architecture the Keras model can be built again.
"""

import json
import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from bt_keras.errors import UsageError, one_line
from bt_keras.hub import resolve

FOLDER = "assets.extra"  # Which SavedModel keeps for users' files.
_FILE = "bt_keras.json"
_REQUIRED = {
    "architecture",
    "embedding_dim",
    "feature_dim",
    "input_shape",
    "regularization_losses",
    "signatures",
    "statistics",
    "stored_arrays",
    "strides",
    "trainable_variables",
    "variables",
}


def write(folder, known):
    """Writes a module's metadata into its folder of extra files."""
    Path(folder, _FILE).write_text(json.dumps(known, indent=2) + "\n")


def read(folder, handle):
    """Reads what `write` wrote.

    Args:
        folder: path of a SavedModel.
        handle: str, what the user called it.

    Raises:
        UsageError: if the module says nothing of itself.
    """
    path = Path(folder, FOLDER, _FILE)
    try:
        known = json.loads(path.read_text())
        reason = "" if set(known) >= _REQUIRED else "fields are missing"
    except (OSError, ValueError, TypeError) as error:
        reason = one_line(error)
    if reason:
        raise UsageError(
            f"module {handle} was not exported by bt_keras, or is not whole: there is "
            f"no readable {FOLDER}/{_FILE} in it ({reason})."
        )
    return known


def read_backbone(handle):
    """Builds the Keras model that a module was exported from.

    Args:
        handle: str or path, as `bt_keras.load_backbone` takes it.

    Returns:
        `(backbone, known)`: a `keras.Model` from normalised images to features, with
        the module's weights; and the dict of `collect`.

    Raises:
        UsageError: if there is no such module, or it was not exported by bt_keras.
    """
    with tempfile.TemporaryDirectory(prefix="bt_keras-") as scratch:
        folder = resolve.resolve(handle, scratch)
        known = read(folder, handle)
        backbone = _built(known, handle)
        loaded = tf.saved_model.load(folder)
    for variable, value in zip(backbone.variables, loaded.variables, strict=True):
        variable.assign(value)
    return backbone, known


def _built(known, handle):
    """The architecture that a module holds, with new weights."""
    try:
        return keras.models.model_from_json(json.dumps(known["architecture"]))
    # Keras raises various errors for classes that are not there, or not its own.
    except Exception as error:
        raise UsageError(
            f"the architecture of module {handle} cannot be built again "
            f"({one_line(error)}): "
            "import the classes it is made of first, or use bt_keras.load_backbone."
        ) from error
