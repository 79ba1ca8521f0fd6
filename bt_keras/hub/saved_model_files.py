"""The files of a SavedModel, from one folder to another."""

import os
import shutil
from pathlib import Path

from bt_keras import atomic

_GRAPH = "saved_model.pb"
_NAMES = (_GRAPH, "fingerprint.pb", "variables", "assets")


def keep(folder, target):
    """Keeps a SavedModel as it is now, whatever becomes of its folder.

    Args:
        folder: path of a SavedModel.
        target: path of a folder that does not exist yet. It gets links to the files,
            or copies where the file system has none.
    """
    _copy(folder, target, _link)


def put(folder, target):
    """Copies a SavedModel, without the times of its files, which may be any.

    Args:
        folder: path of a SavedModel.
        target: path of a folder, which need not exist.
    """
    _copy(folder, target, shutil.copyfile)


def digest(folder):
    """Returns str, the SHA-256 of a SavedModel's graph."""
    return atomic.sha256(Path(folder, _GRAPH))


def _copy(folder, target, copy):
    Path(target).mkdir(exist_ok=True)
    for name in _NAMES:
        source = Path(folder, name)
        if source.is_dir():
            Path(target, name).mkdir(exist_ok=True)
            for file in source.iterdir():
                copy(file, Path(target, name, file.name))
        elif source.exists():
            copy(source, Path(target, name))


def _link(source, target):
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
