"""The state of a model's observers, as members of a checkpoint file.

Keras does not know them: the file has one array more for each variable, and loads
without them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging

from bt_keras.errors import UsageError, listed
from bt_keras.files import npz_file, zip_file
from bt_keras.model.observers import Observer


def add(path: Path, observers: Sequence[Observer]) -> None:
    """Adds the variables of observers to a file that `model.save` wrote.

    Args:
        path: Path of a `.keras` file.
        observers: Sequence of `Observer`.
    """
    with zipfile.ZipFile(path, "a") as archive:
        for observer in observers:
            for number, variable in enumerate(observer.variables):
                contents = io.BytesIO()
                np.save(contents, variable.numpy(), allow_pickle=False)
                archive.writestr(_member(observer, number), contents.getvalue())


def restore(path: Path, observers: Sequence[Observer]) -> None:
    """Assigns the values in a checkpoint to the variables of observers.

    An observer that the checkpoint does not have keeps its values: the checkpoint is
    older, or the observer is new. A warning names all of them.

    Args:
        path: Path of a checkpoint.
        observers: Sequence of `Observer`, built.

    Raises:
        UsageError: If an observer of the checkpoint has other variables.
        OSError, bt_keras.errors.DAMAGE: If the file cannot be read.
    """
    missing = []
    with zip_file.opened(path) as archive:
        for observer in filter(_has_state, observers):
            values = _read(archive, observer)
            if values:
                _assign(path, observer, values)
            else:
                missing.append(observer.name)
    if missing:
        logging.warning(
            "Checkpoint %s has no state of %s, which starts anew.",
            path,
            listed(missing),
        )


def _has_state(observer):
    return bool(observer.variables)


def _member(observer, number):
    return f"observers/{observer.name}/{number}.npy"


def _read(archive, observer):
    """Returns the arrays of an observer, in the order of its variables."""
    names, values = set(archive.namelist()), []
    while (name := _member(observer, len(values))) in names:
        values.append(npz_file.read_array(archive.read(name)))
    return values


def _assign(path, observer, values):
    expected = [tuple(variable.shape) for variable in observer.variables]
    if [value.shape for value in values] != expected:
        raise UsageError(
            f"checkpoint {path} has another {observer.name!r}: its variables have "
            "other shapes. Give it another name, or take another --workdir."
        )
    for variable, value in zip(observer.variables, values, strict=True):
        variable.assign(value)
