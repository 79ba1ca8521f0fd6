"""Write, restore and load checkpoints of a model, its optimizer and its observers."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import keras

from bt_keras.checkpoint import keras_file, observer_state, store
from bt_keras.checkpoint.progress import Progress
from bt_keras.errors import DAMAGE, UsageError, one_line
from bt_keras.files import atomic
from bt_keras.model.barlow_twins import BarlowTwins


def write(model: BarlowTwins, folder: Path, progress: Progress) -> Path:
    """Writes a checkpoint atomically.

    Args:
        model: `bt_keras.BarlowTwins`, compiled. The state of its observers is stored,
            too.
        folder: Path of an existing folder.
        progress: `Progress` of the run.

    Returns:
        Path of the checkpoint.

    Raises:
        UsageError: If it cannot be written, for example on a full disk. Earlier
            checkpoints stay intact.
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
        _keep_skipped_attributes()
        model.save(temporary)
        observer_state.add(temporary, model.observers)
        store.seal(temporary, progress, _variables(model))
    return path


def _keep_skipped_attributes() -> None:
    """Lets Keras find the names of an optimizer's attributes that it does not save.

    It stores them under another name than it looks for, and so makes an optimizer for
    each checkpoint, of which TensorFlow keeps 70 KB.
    """
    name = "saving_attr_skiplist_Optimizer"
    with contextlib.suppress(ImportError, AttributeError):  # Another release of Keras.
        from keras.src.backend.common import global_state
        from keras.src.saving import saving_lib

        if global_state.get_global_attribute(name) is None:
            names = saving_lib.get_attr_skipset("Optimizer")
            global_state.set_global_attribute(name, names)


def restore(path: Path, model: BarlowTwins) -> None:
    """Loads a checkpoint into a model and its optimizer, to resume training.

    Args:
        path: Path of a checkpoint.
        model: `bt_keras.BarlowTwins`, compiled. The state of its observers is restored,
            too; those that the checkpoint does not have start anew, with a warning.

    Raises:
        UsageError: If the checkpoint has another architecture, or an observer of this
            name with other variables.
    """
    # Keras loads variables by position and shape, and may skip the others.
    if store.variables(path) != _variables(model):
        raise UsageError(
            f"checkpoint {path} has another architecture than the config: its "
            "variables have other names or shapes. Take another --workdir."
        )
    try:
        keras_file.check(path)
        model.load_weights(path)
        observer_state.restore(path, model.observers)
    except UsageError:
        raise
    # zipfile, HDF5 and Keras raise different exceptions.
    except Exception as error:
        raise UsageError(
            f"checkpoint {path} cannot be read ({one_line(error)}).{_disk_hint(error)}"
        ) from error


def load(path: Path) -> BarlowTwins:
    """Loads the model of a checkpoint.

    Args:
        path: Path of a checkpoint.

    Returns:
        `bt_keras.BarlowTwins`, not compiled.

    Raises:
        UsageError: If the file is not a checkpoint of a `bt_keras.BarlowTwins`.
    """
    try:
        keras_file.check(path, compiled=False)
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    # zipfile, HDF5 and Keras raise different exceptions.
    except Exception as error:
        raise UsageError(
            f"checkpoint {path} cannot be read{_version_hint(path)} "
            f"({one_line(error)}).{_disk_hint(error)}"
        ) from error
    if not isinstance(model, BarlowTwins):
        raise UsageError(
            f"checkpoint {path} has another architecture: it is a "
            f"{type(model).__name__}, not a bt_keras.BarlowTwins."
        )
    return model


def _version_hint(path: Path) -> str:
    """Returns the packages that had other versions when the file was written."""
    try:
        others = store.other_versions(path)
    except (*DAMAGE, OSError):
        return ""
    return f": it was written with {others}" if others else ""


def _disk_hint(error: Exception) -> str:
    """Returns what to do about an error of the file system."""
    if not isinstance(error, OSError):
        return ""
    return (
        f" Keras unpacks it in {tempfile.gettempdir()}: free space there if it is "
        "full, or set TMPDIR to another folder."
    )


def _variables(model: BarlowTwins) -> list:
    return [[v.name, list(v.shape)] for v in model.variables]
