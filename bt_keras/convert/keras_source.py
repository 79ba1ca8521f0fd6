"""Loads the Keras model to convert: a `.keras` file or a run's latest checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from bt_keras.checkpoint import keras_file, latest
from bt_keras.checkpoint import store as checkpoints
from bt_keras.checkpoint.progress import Progress

# Importing it registers the package's Keras classes.
from bt_keras.convert import state_dict  # noqa: F401
from bt_keras.errors import UsageError, one_line
from bt_keras.model.from_config import import_network
from bt_keras.workdir import Workdir


def load_model(
    path: str | os.PathLike, with_optimizer: bool
) -> tuple[keras.Model, Progress | None]:
    """Loads a model.

    Args:
        path: String or path of a `.keras` file or a workdir.
        with_optimizer: Boolean, whether to load the optimizer.

    Returns:
        `(model, progress)`: `keras.Model`, and its training progress, `None` if the
        file is not a run's checkpoint.

    Raises:
        UsageError: If there is no such file or checkpoint, or it cannot be read.
    """
    path, progress = Path(path), None
    if path.is_dir():
        workdir = Workdir(path)
        progress, path = latest.require_checkpoint(workdir)
        import_network(workdir.config())
    elif not path.is_file():
        raise UsageError(f"{path}: there is no such file.")
    try:
        keras_file.check(path, compiled=with_optimizer)
        model = keras.models.load_model(path, compile=with_optimizer, safe_mode=True)
        return model, progress or _read_progress(path)
    # zipfile, HDF5 and Keras each raise their own exceptions.
    except Exception as error:
        raise UsageError(f"{path} cannot be read ({one_line(error)}).") from error


def completed_epochs(
    path: str | os.PathLike, progress: Progress | None, epoch: int | None
) -> int:
    """Determines after how many epochs a model was saved.

    Args:
        path: String or path of the file or workdir, for messages.
        progress: `Progress` of the checkpoint, or `None` if it has none.
        epoch: Integer, the number given by the user, or `None`.

    Returns:
        Integer.

    Raises:
        UsageError: If the number is missing, given twice, or not whole.
    """
    if (progress is None) == (epoch is None):
        raise UsageError(
            f"{path} does not store its number of epochs: pass it with --epoch."
            if progress is None
            else f"{path} stores its number of epochs: remove --epoch."
        )
    if progress is None:
        return epoch
    if progress.step_in_epoch:
        raise UsageError(
            f"{path} was saved within an epoch (after {progress.epochs} epochs), where "
            "the official code cannot resume: use a checkpoint after a whole epoch."
        )
    return progress.epoch


def _read_progress(path):
    """Returns the `Progress` stored in a checkpoint, None for other `.keras` files."""
    try:
        return checkpoints.read(path)
    except checkpoints.DamagedError:
        return None
