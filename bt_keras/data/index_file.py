"""The file that stores the results of checking the images of a folder.

It is in the user's cache folder. Without a usable cache folder nothing is stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bt_keras import system
from bt_keras.errors import DAMAGE, UsageError
from bt_keras.files import storage
from bt_keras.files.atomic import atomic_file

FORMAT = 3


class FileInfo(NamedTuple):
    """Result of checking one image file.

    Attributes:
        num_bytes: Integer. File size, or -1 if the file could not be opened.
        mtime_ns: Integer. Modification time in nanoseconds (int64), or -1.
        fingerprint: Integer. `decode.fingerprint` of the contents, or -1.
        height: Integer. Height in pixels, 0 if the image cannot be decoded.
        width: Integer. Width in pixels, 0 if the image cannot be decoded.
        largest: Integer. Largest value of an image with more than 8 bits, otherwise 0.
        problem: String. Why the image cannot be decoded, such as "is empty", or "".
    """

    num_bytes: int
    mtime_ns: int
    fingerprint: int
    height: int
    width: int
    largest: int
    problem: str


def read(path: Path | None, root: str) -> dict[str, FileInfo]:
    """Reads the index of a folder.

    Args:
        path: Path of the index, or None.
        root: String. Folder of the images.

    Returns:
        Dict from a path relative to `root` to `FileInfo`. Empty if there is no index,
        or if it is damaged, of another format or of another folder.
    """
    if path is None:
        return {}
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        if arrays["format"] != FORMAT or _split(arrays["folder"]) != [_real(root)]:
            return {}
        names, problems = _split(arrays["names"]), _split(arrays["problems"])
        columns = arrays["columns"].tolist()
        return {
            name: FileInfo._make((*numbers, problems[problem]))
            for name, (*numbers, problem) in zip(names, columns, strict=True)
        }
    except (OSError, AttributeError, *DAMAGE):
        return {}


def write(path: Path | None, root: str, index: dict[str, FileInfo]) -> None:
    """Writes the index of a folder, whole or not at all, if the file system allows.

    Args:
        path: Path of the index, or None to do nothing.
        root: String. Folder of the images.
        index: Dict from a path relative to `root` to `FileInfo`.
    """
    if path is None:
        return
    # Problems are few and repeat, so that each file holds the number of its problem.
    problems = {"": 0}
    columns = [
        (*info[:-1], problems.setdefault(info.problem, len(problems)))
        for info in index.values()
    ]
    arrays = {
        "format": np.int64(FORMAT),
        "folder": _join([_real(root)]),
        "names": _join(index),
        "columns": np.array(columns, np.int64).reshape(-1, 7),
        "problems": _join(problems),
    }
    # Without an index, the next start checks all files again.
    with (
        contextlib.suppress(UsageError),
        atomic_file(path, replace=True) as temporary,
    ):
        np.savez(temporary, **arrays)


def index_path(root: str, channels: int = 3) -> Path | None:
    """Returns the path of a folder's index, None if there is no cache folder."""
    folder = system.cache_folder()
    # No path contains a zero byte.
    bands = b"" if channels == 3 else b"\0%d" % channels
    digest = hashlib.sha256(os.fsencode(_real(root)) + bands).hexdigest()[:32]
    return folder / "folders" / f"{digest}.npz" if folder else None


def _real(root):
    return storage.real(root)


def _join(texts):
    """Texts as one uint8 array; no path contains a zero byte."""
    return np.frombuffer(b"\0".join(map(os.fsencode, texts)), np.uint8)


def _split(array):
    return [os.fsdecode(text) for text in array.tobytes().split(b"\0")]


def locked(path: Path | None) -> contextlib.AbstractContextManager:
    """Returns a context that holds the lock of an index, if there is an index."""
    if path is None:
        return contextlib.nullcontext()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    notice = "Waiting for another process that checks the same image files"
    return system.locked(path.with_suffix(".lock"), notice)
