"""`.tar.gz` archives of modules, as TensorFlow Hub downloads them."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

from bt_keras import system
from bt_keras.files.atomic import atomic_file

# 1980-01-02: zip files, such as `.keras` files, cannot store earlier times.
_TIME = 315_619_200


def pack(folder: str | os.PathLike, path: str | os.PathLike) -> None:
    """Packs a module; the same files give the same bytes.

    Args:
        folder: Path of a module.
        path: Path of the `.tar.gz`, written completely or not at all.

    Raises:
        UsageError: If the archive exists already or cannot be written.
    """
    folder = Path(folder)
    with (
        atomic_file(path) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for member in system.entries(folder):
            name = member.relative_to(folder).as_posix()
            tar.add(member, name, False, filter=_normalize)


def _normalize(member):
    """Removes what depends on the machine and the time."""
    member.uid = member.gid = 0
    member.mtime = _TIME
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member
