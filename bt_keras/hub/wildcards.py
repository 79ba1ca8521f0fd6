"""Paths with `[`, `*` or `?`, which TensorFlow takes for patterns of names.

It finds the variables of a SavedModel by such a pattern, and so not in a folder whose
name contains one of these characters.
"""

from __future__ import annotations

import os
from pathlib import Path

from bt_keras import system
from bt_keras.hub.saved_model_files import link

_CHARACTERS = frozenset("[]*?\\")
_NAME = "module"


def without(folder: str | os.PathLike, scratch: str | os.PathLike) -> str:
    """Returns a path of a module that TensorFlow can read.

    Args:
        folder: Path of a module.
        scratch: Path of a folder, in which links to the module's files are made if its
            own path has a character of a pattern.

    Returns:
        String, the path of the same or of a new folder.

    Raises:
        ValueError: If the path of `scratch` has such a character, too.
    """
    if not _wildcards(folder):
        return str(folder)
    if found := _wildcards(scratch):
        raise ValueError(
            f"the temporary folder {scratch} has {found[0]!r} in its name: set TMPDIR "
            "to another folder."
        )
    target = Path(scratch, _NAME)
    target.mkdir()
    for entry in system.entries(folder):
        copy = target / entry.relative_to(folder)
        if entry.is_dir():
            copy.mkdir()
        else:
            link(entry, copy)
    return str(target)


def _wildcards(path):
    """Returns the characters of patterns in a path, in the order of their codes."""
    parts = os.path.abspath(path).split(os.sep)  # A backslash on Windows.
    return sorted(_CHARACTERS.intersection("".join(parts)))
