"""SHA256SUMS files, as `sha256sum --check` reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from bt_keras import system
from bt_keras.errors import listed
from bt_keras.files import reading
from bt_keras.files.atomic import sha256

NAME = "SHA256SUMS"
# `sha256sum --binary` writes an asterisk before the name.
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
_NOT_A_FILE = "not a file"
SHOWN = 5  # Names in a message.


def compute(folder: str | os.PathLike) -> dict[str, str]:
    """Computes the SHA-256 of all files of a folder except SHA256SUMS.

    Args:
        folder: Path of the folder.

    Returns:
        Dict from the relative name of a file to its SHA-256, sorted by name. Links to
        folders, devices and FIFOs have "not a file" instead.
    """
    folder = Path(folder)
    digests = {
        path.relative_to(folder).as_posix(): sha256(path)
        if path.is_file()
        else _NOT_A_FILE
        for path in system.entries(folder)
        if path.is_file() or path.is_symlink() or not path.is_dir()
    }
    digests.pop(NAME, None)
    return digests


def write(folder: str | os.PathLike, sums: Mapping[str, str]) -> None:
    """Writes SHA256SUMS.

    Args:
        folder: Path of the folder.
        sums: Mapping from the relative name of a file to its SHA-256.
    """
    Path(folder, NAME).write_text(text(sums), encoding="utf-8", newline="\n")


def text(sums: Mapping[str, str]) -> str:
    """Returns the contents of a SHA256SUMS, see `write`."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def is_present(folder: str | os.PathLike) -> bool:
    """Returns whether a folder has a SHA256SUMS."""
    return os.path.lexists(Path(folder, NAME))


def differing(folder: str | os.PathLike) -> list[str] | None:
    """Compares the files of a folder with its SHA256SUMS.

    Args:
        folder: Path of the folder.

    Returns:
        Sorted list of the names of missing, changed and unlisted files, with SHA256SUMS
        itself if it cannot be read; `None` if there is no SHA256SUMS.
    """
    if not is_present(folder):
        return None
    listed = _read(Path(folder, NAME))
    if listed is None:
        return [NAME]
    found = compute(folder)
    names = listed.keys() | found.keys()
    return sorted(name for name in names if listed.get(name) != found.get(name))


def _read(path):
    """Returns a dict from name to digest, `None` if the file is damaged."""
    try:
        lines = reading.read_text(path).split("\n")
    except (OSError, ValueError):
        return None
    lines = [line.rstrip("\r") for line in lines]
    matches = [_LINE.fullmatch(line) for line in lines if line]
    listed = {match[2]: match[1].lower() for match in matches if match}
    # A line of another form, or two lines for one name.
    return listed if len(listed) == len(matches) else None


def check(folder: str | os.PathLike) -> None:
    """Raises `ValueError` if files differ from SHA256SUMS; without one it passes."""
    if names := differing(folder):
        raise ValueError(
            f"{listed(names, SHOWN)} in the archive differs from its SHA256SUMS: "
            "download the archive again."
        )
