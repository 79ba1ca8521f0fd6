"""Copies of a SavedModel's files, without bt_keras's own files next to them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bt_keras.files import atomic

_GRAPH = "saved_model.pb"
_NAMES = (_GRAPH, "fingerprint.pb", "variables", "assets")


def check(folder: str | os.PathLike) -> None:
    """Raises `ValueError` if a FIFO or a device is among a SavedModel's files.

    Reading a FIFO would wait for a writer.

    Args:
        folder: Path of a SavedModel.
    """
    for name in _NAMES:
        path = Path(folder, name)
        for entry in [path, *path.iterdir()] if path.is_dir() else [path]:
            if entry.exists() and not (entry.is_file() or entry.is_dir()):
                raise ValueError(f"{entry.relative_to(folder)} is not a file.")


def link_tree(folder: str | os.PathLike, target: str | os.PathLike) -> None:
    """Links a SavedModel's files, so that they stay when their folder is removed.

    Files are copied where the file system has no hard links.

    Args:
        folder: Path of a SavedModel.
        target: Path of a folder that does not exist yet.
    """
    _transfer(folder, target, link)


def copy_tree(folder: str | os.PathLike, target: str | os.PathLike) -> None:
    """Copies a SavedModel's files.

    Args:
        folder: Path of a SavedModel.
        target: Path of a folder, which is created if it does not exist.
    """
    # `copyfile` leaves out the modification times: zip files cannot store all of them.
    _transfer(folder, target, shutil.copyfile)


def graph_sha256(folder: str | os.PathLike) -> str:
    """Computes the SHA-256 of a SavedModel's graph."""
    return atomic.sha256(Path(folder, _GRAPH))


def _transfer(folder, target, transfer):
    Path(target).mkdir(exist_ok=True)
    for name in _NAMES:
        source = Path(folder, name)
        if source.is_dir():
            Path(target, name).mkdir(exist_ok=True)
            for file in source.iterdir():
                transfer(file, Path(target, name, file.name))
        elif source.exists():
            transfer(source, Path(target, name))


def link(source: Path, target: Path) -> None:
    """Links a file to another name, or copies it where links are not possible."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
