"""Writing and reading checkpoints: architecture, weights, statistics, optimizer."""

import keras

from bt_keras import atomic
from bt_keras.checkpoint import store
from bt_keras.errors import UsageError, one_line
from bt_keras.model.barlow_twins import BarlowTwins


def write(model, folder, progress):
    """Writes a checkpoint, whole or not at all.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        folder: path of an existing folder.
        progress: `Progress`.

    Returns:
        path of the file.

    Raises:
        UsageError: if it cannot be written, as on a full disk. Checkpoints that were
            there before are as they were.
    """
    path = folder / store.name(progress)
    with atomic.atomic_file(
        path,
        replace=True,
        temporary=folder / store.UNFINISHED,
        errors=(RuntimeError,),  # HDF5 raises it for some errors of the file system.
        advice="free some space, or take another --workdir. Earlier checkpoints are "
        "intact, and the same command resumes from the newest",
    ) as temporary:
        model.save(temporary)
        store.seal(temporary, progress, _variables(model))
    return path


def restore(path, model):
    """Fills a model and its optimizer with a checkpoint, to go on training.

    Args:
        path: path of a `.keras` file.
        model: `bt_keras.BarlowTwins`, compiled, as the config describes it.

    Raises:
        UsageError: if the file holds another architecture.
    """
    # Keras fills what has the same place and shape, and may pass over the rest.
    if store.variables(path) != _variables(model):
        raise UsageError(
            f"checkpoint {path} is of another architecture than the config describes: "
            "its variables are not of the same names and shapes. Take another "
            "--workdir."
        )
    model.load_weights(path)


def load(path):
    """Loads a checkpoint.

    Args:
        path: path of a `.keras` file.

    Returns:
        `bt_keras.BarlowTwins`, not compiled.

    Raises:
        UsageError: if the file is not a checkpoint of such a model.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    # zipfile, HDF5 and Keras each have errors of their own.
    except Exception as error:
        raise UsageError(
            f"checkpoint {path} cannot be read ({one_line(error)})."
        ) from error
    if not isinstance(model, BarlowTwins):
        raise UsageError(
            f"checkpoint {path} is a {type(model).__name__}, not a "
            "bt_keras.BarlowTwins, so it is of another architecture."
        )
    return model


def _variables(model):
    return [[v.name, list(v.shape)] for v in model.variables]
