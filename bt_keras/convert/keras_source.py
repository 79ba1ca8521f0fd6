"""Keras's side of a conversion back: a `.keras` file, or a run's newest checkpoint."""

from pathlib import Path

import keras

from bt_keras.checkpoint import latest
from bt_keras.checkpoint import store as checkpoints

# Keras knows our classes once their modules are imported.
from bt_keras.convert import state_dict  # noqa: F401
from bt_keras.errors import UsageError
from bt_keras.workdir import Workdir


def load(path, with_optimizer):
    """Loads a model.

    Args:
        path: str or path of a `.keras` file, or of a workdir.
        with_optimizer: bool, whether the optimizer is loaded as well.

    Returns:
        `(keras.Model, progress)`, the `Progress` None where the file does not say.

    Raises:
        UsageError: if there is none, or it cannot be read.
    """
    path, progress = Path(path), None
    if path.is_dir():
        progress, path = latest.require_checkpoint(Workdir(path))
    elif not path.is_file():
        raise UsageError(f"{path}: there is no such file.")
    try:
        return keras.models.load_model(path, compile=with_optimizer), (
            progress or _progress(path)
        )
    # zipfile, HDF5 and Keras each have errors of their own.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        # Keras's may hold the whole config.
        raise UsageError(f"{path} cannot be read ({reason[:200]}).") from error


def epoch(path, progress, given):
    """Decides at which epoch a checkpoint is.

    Args:
        path: str, of the file or workdir.
        progress: `Progress` or None, what that says.
        given: int or None, what the user says.

    Returns:
        int.

    Raises:
        UsageError: if nobody says, both do, or it lies inside an epoch.
    """
    if (progress is None) == (given is None):
        raise UsageError(
            f"{path} does not say after how many epochs it is: give --epoch."
            if progress is None
            else f"{path} says itself after how many epochs it is: leave --epoch out."
        )
    if progress is None:
        return given
    if progress.step_in_epoch:
        raise UsageError(
            f"{path} lies inside an epoch ({progress.epochs} are done), where the "
            "official code cannot resume: take a checkpoint of an epoch's end."
        )
    return progress.epoch


def _progress(path):
    """What a run's checkpoint says; other `.keras` files say nothing."""
    try:
        return checkpoints.read(path)
    except checkpoints.DamagedError:
        return None
