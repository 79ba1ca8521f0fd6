"""Checkpoints: one whole `.keras` file an epoch, written atomically.

A checkpoint holds architecture, weights, batch-norm statistics and the optimizer's
slots and step; `keras.models.load_model` reads it wherever bt_keras is importable.
"""

import math
import os
import re
from zipfile import BadZipFile

import keras

from bt_keras.errors import UsageError
from bt_keras.model import BarlowTwins

_NAME = re.compile(r"epoch-(\d+)\.keras")


class EpochCheckpoint(keras.callbacks.Callback):
    """Saves the model after every epoch with a finite loss and keeps the last ones.

    Args:
        folder: path of an existing folder.
        keep: int > 0, how many epochs' files to keep.
    """

    def __init__(self, folder, keep):
        super().__init__()
        self.folder = folder
        self.keep = keep

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            return
        temporary = self.folder / "unfinished.keras"
        self.model.save(temporary)
        os.replace(temporary, self.folder / f"epoch-{epoch + 1:04d}.keras")
        for old in list(_finished(self.folder).values())[: -self.keep]:
            old.unlink()


def latest(folder):
    """Finds the newest checkpoint.

    Args:
        folder: path.

    Returns:
        `(epochs, path)`: how many epochs it has seen, and its file; `(0, None)` where
        there is none.
    """
    found = _finished(folder)
    return next(reversed(found.items())) if found else (0, None)


def restore(path, like):
    """Loads a checkpoint to go on training from.

    Args:
        path: path of a `.keras` file.
        like: `bt_keras.BarlowTwins`, built and compiled: what must be in it.

    Returns:
        The compiled `bt_keras.BarlowTwins` of the file, with its optimizer's state.

    Raises:
        UsageError: if the file is damaged, or holds another architecture.
    """
    model = load(path, compiled=True)
    theirs, ours = (
        [(v.name, tuple(v.shape)) for v in m.weights] for m in (model, like)
    )
    if theirs != ours:
        raise UsageError(
            f"checkpoint {path} is of another architecture than the config describes: "
            f"it has {len(theirs)} variables, the config's model {len(ours)}, and they "
            "are not of the same names and shapes. Take another --workdir."
        )
    return model


def load(path, compiled=False):
    """Loads a checkpoint.

    Args:
        path: path of a `.keras` file.
        compiled: bool, whether to load the optimizer too.

    Returns:
        `bt_keras.BarlowTwins`.

    Raises:
        UsageError: if the file is not a checkpoint of such a model.
    """
    try:
        model = keras.models.load_model(path, compile=compiled)
    except (ValueError, KeyError, OSError, TypeError, BadZipFile) as error:
        raise UsageError(
            f"checkpoint {path} cannot be read ({_first_line(error)})."
        ) from error
    if not isinstance(model, BarlowTwins):
        raise UsageError(
            f"checkpoint {path} is a {type(model).__name__}, not a "
            "bt_keras.BarlowTwins, so it is of another architecture."
        )
    return model


def _finished(folder):
    """Every finished checkpoint, oldest first, by the number of its epochs."""
    found = {}
    for path in folder.glob("epoch-*.keras") if folder.is_dir() else ():
        if match := _NAME.fullmatch(path.name):
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def _first_line(error):
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
