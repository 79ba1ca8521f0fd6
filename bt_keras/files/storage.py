"""Folders and files to read: on this machine, or where TensorFlow has a file system.

A remote path has a scheme, such as gs://bucket/folder. The functions raise `OSError`
for either kind of path. TensorFlow is imported for remote paths only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import mimetypes
import os
import re
from collections.abc import Iterator
from pathlib import Path

from bt_keras.errors import UsageError, one_line

# At least two letters: "C:\\images" is a local path. `Path` makes gs:/ of gs://.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
_CHUNK = 2**22


def scheme(path: str | os.PathLike) -> str:
    """Returns the scheme of a remote path, such as "gs", or "" for a local one.

    Example:

    >>> from bt_keras.files import storage
    >>> storage.scheme("gs://bucket/images"), storage.scheme("images")
    ('gs', '')
    """
    match = _SCHEME.match(os.fspath(path))
    return match[1] if match and match[1] != "file" else ""


def require_local(path: str | os.PathLike, what: str = "") -> None:
    """Raises `UsageError` for a remote path, where nothing can be written.

    Args:
        path: Path of a file or a folder.
        what: String that names it in the message, such as `"workdir"`. Defaults to
            `""`.
    """
    if name := scheme(path):
        raise UsageError(
            f"{what} {path} is on {name}://, but files are written to local disks, "
            "where they can be locked and renamed: give a local path or a mounted "
            "folder, and copy the result.".lstrip()
        )


def exists(path: str) -> bool:
    """Returns whether there is a file or a folder; a broken link is none."""
    if not scheme(path):
        return os.path.exists(path)
    with _os_errors(path) as gfile:
        return gfile.exists(path)


def is_dir(path: str) -> bool:
    """Returns whether there is a folder."""
    if not scheme(path):
        return os.path.isdir(path)
    with _os_errors(path) as gfile:
        return gfile.isdir(path)


def real(path: str) -> str:
    """Returns the path without links; a remote path stays as it is."""
    return path if scheme(path) else os.path.realpath(path)


def names(path: str) -> list[str]:
    """Returns the names of the files and folders in a folder."""
    with scan(path) as entries:
        return [entry.name for entry in entries]


@contextlib.contextmanager
def scan(path: str) -> Iterator[Iterator[os.DirEntry | RemoteEntry]]:
    """Lists a folder, as `os.scandir`.

    Args:
        path: String, the folder.

    Yields:
        Iterator of entries with `name`, `path`, `is_dir()` and `is_file()`.
    """
    if not scheme(path):
        with os.scandir(path) as entries:
            yield entries
        return
    with _os_errors(path) as gfile:
        if not gfile.isdir(path):
            raise FileNotFoundError(errno.ENOENT, "No such folder", path)
        found = gfile.listdir(path)
    # Some file systems end the names of folders with a slash.
    yield (RemoteEntry(n.rstrip("/"), os.path.join(path, n.rstrip("/"))) for n in found)


@dataclasses.dataclass(frozen=True)
class RemoteEntry:
    """A file or a folder in a remote folder.

    Args:
        name: String.
        path: String, the path with the name.
    """

    name: str
    path: str

    def is_dir(self) -> bool:
        return self._is_dir

    def is_file(self) -> bool:
        return not self._is_dir

    @functools.cached_property
    def _is_dir(self) -> bool:
        # A request for each file would take hours for a million images.
        return mimetypes.guess_type(self.name)[0] is None and is_dir(self.path)


def size_and_time(path: str) -> tuple[int, int]:
    """Returns the size of a file in bytes and its modification time in nanoseconds."""
    if not scheme(path):
        return _size_and_time(os.stat(path))
    with _os_errors(path) as gfile:
        status = gfile.stat(path)
        return status.length, status.mtime_nsec


def read(path: str) -> tuple[bytes, tuple[int, int]]:
    """Reads a file.

    Args:
        path: String, the file.

    Returns:
        `(contents, (size, time))`: the bytes, and what `size_and_time` returns.
    """
    if not scheme(path):
        with open(path, "rb") as file:
            return file.read(), _size_and_time(os.fstat(file.fileno()))
    status = size_and_time(path)
    with _os_errors(path) as gfile, gfile.GFile(path, "rb") as file:
        return file.read(), status


def copy(path: str, target: Path, max_bytes: int) -> None:
    """Copies a remote file, or a remote folder with all that is in it.

    Args:
        path: String, a remote path.
        target: Path on this machine, which does not exist.
        max_bytes: Integer, the most bytes that the files may have.

    Raises:
        ValueError: If the files have more bytes.
    """
    total = 0
    with _os_errors(path) as gfile:
        files = {path: target}
        if gfile.isdir(path):
            files = dict(_files_below(gfile, path, target))
        for source, local in files.items():
            local.parent.mkdir(parents=True, exist_ok=True)
            with gfile.GFile(source, "rb") as remote, local.open("xb") as file:
                while chunk := remote.read(_CHUNK):
                    total += len(chunk)
                    if total > max_bytes:
                        raise ValueError(f"it has more than {max_bytes:,} bytes.")
                    file.write(chunk)


def _files_below(gfile, path, target):
    for folder, _, files in gfile.walk(path):
        inside = Path(target, *folder[len(path) :].strip("/").split("/"))
        for name in files:
            yield os.path.join(folder, name), inside / name


def _size_and_time(status):
    return status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _os_errors(path):
    """Yields `tf.io.gfile`, and raises `OSError` for the errors of TensorFlow."""
    import tensorflow as tf

    errors = tf.errors
    try:
        yield tf.io.gfile
    except errors.NotFoundError as error:
        reason = os.strerror(errno.ENOENT)
        raise FileNotFoundError(errno.ENOENT, reason, path) from error
    except errors.UnimplementedError as error:
        raise UsageError(
            f"{path!r}: TensorFlow has no file system for {scheme(path)}://. Give a "
            "local path, or import a package that adds one, such as tensorflow_io."
        ) from error
    except errors.OpError as error:
        raise OSError(errno.EIO, one_line(error.message), path) from error
