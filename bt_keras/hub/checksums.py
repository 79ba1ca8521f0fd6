"""SHA256SUMS files, as `sha256sum --check` reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bt_keras import system
from bt_keras.atomic import sha256

NAME = "SHA256SUMS"


def compute(folder: str | os.PathLike) -> dict[str, str]:
    """Computes the SHA-256 of all files of a folder except SHA256SUMS.

    Args:
        folder: Path of the folder.

    Returns:
        Dict from the relative name of a file to its SHA-256, sorted by name.
    """
    folder = Path(folder)
    files = [path for path in system.entries(folder) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    return {name: sha256(folder / name) for name in names if name != NAME}


def write(folder: str | os.PathLike, sums: Mapping[str, str]) -> None:
    """Writes SHA256SUMS.

    Args:
        folder: Path of the folder.
        sums: Mapping from the relative name of a file to its SHA-256.
    """
    lines = [f"{digest}  {name}\n" for name, digest in sums.items()]
    Path(folder, NAME).write_text("".join(lines), encoding="utf-8", newline="\n")


def differing(folder: str | os.PathLike) -> list[str] | None:
    """Compares the files of a folder with its SHA256SUMS.

    Args:
        folder: Path of the folder.

    Returns:
        Sorted list of the names of missing, changed and unlisted files; `None` if
        there is no SHA256SUMS.
    """
    path = Path(folder, NAME)
    if not path.is_file():
        return None
    lines = (
        line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()
    )
    listed = {name: digest for digest, name in lines}
    found = compute(folder)
    names = listed.keys() | found.keys()
    return sorted(name for name in names if listed.get(name) != found.get(name))
