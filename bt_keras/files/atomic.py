"""Files and folders that are written whole or not at all, and the SHA-256 of a file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bt_keras import system
from bt_keras.errors import UsageError, one_line
from bt_keras.files import storage
from bt_keras.files.scratch import Scratch

_CHUNK = 2**22
_ADVICE = "take another folder, or free space"
# With any characters, shorter than the 255 bytes that file systems allow.
_LONGEST_PREFIX = 50
# The messages of HDF5 give the reason after the path.
_LONGEST_REASON = 400


def check_free(path: str | os.PathLike) -> None:
    """Raises `UsageError` if a file, folder or link exists at `path`."""
    storage.require_local(path)
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already: remove it, or take another name.")


def check_empty(
    path: str | os.PathLike,
    advice: str = "remove it, or take another folder",
    ignore: str | None = None,
) -> None:
    """Raises `UsageError` unless `path` is an empty folder or does not exist.

    Args:
        path: Path of a folder.
        advice: String, what the user can do, for the message of the error. Defaults to
            `"remove it, or take another folder"`.
        ignore: Optional string, the name of an entry that is not counted. Defaults to
            `None`.
    """
    storage.require_local(path)
    folder = Path(os.path.realpath(path))
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise UsageError(f"{path} is not a folder: {advice}.")
    if any(entry.name != ignore for entry in folder.iterdir()):
        raise UsageError(f"{path} is not empty: {advice}.")


@contextlib.contextmanager
def atomic_file(
    path: str | os.PathLike,
    *,
    replace: bool = False,
    temporary: str | os.PathLike | None = None,
    errors: tuple[type[Exception], ...] = (),
    advice: str = _ADVICE,
) -> Iterator[Path]:
    """Writes a file under another name and renames it when it is complete and synced.

    The file does not appear at `path` if the body raises or the process is killed.

    Args:
        path: Path of the file. Missing parent folders are created.
        replace: Boolean, whether to replace an existing file. Defaults to `False`: an
            existing file is an error.
        temporary: Optional path of the temporary file, on the same file system. Its
            folder is created if needed, must hold nothing else, and is removed in the
            end. A fixed path lets the next writer remove what a killed process left,
            but only one process may write at a time. Defaults to a file in a new
            hidden folder next to `path`.
        errors: Tuple of exception classes, in addition to `OSError`, that mean that
            the file cannot be written. Defaults to `()`.
        advice: String, what the user can do, for the message of the error. Defaults to
            `"take another folder, or free space"`.

    Yields:
        The temporary path, which the body must write.

    Raises:
        UsageError: If the file exists and `replace` is `False`, or it cannot be
            written.

    Example:

    >>> from bt_keras.files.atomic import atomic_file
    >>> with atomic_file("notes.txt") as temporary:
    ...     _ = temporary.write_text("complete")
    >>> open("notes.txt").read()
    'complete'
    """
    storage.require_local(path)
    path = Path(path)
    if not replace:
        check_free(path)
    unwritable: tuple[type[Exception], ...] = (OSError, *errors)
    scratch, folder = None, None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if temporary is None:
            scratch = _new_scratch(path.parent, path.name)
            file = scratch.path / path.name
        else:
            file = Path(temporary)
            folder = file.parent
            folder.mkdir(exist_ok=True)
        yield file
        system.sync(file)
        (system.replace if replace else _publish_new)(file, path)
        system.sync(path.parent)
    except unwritable as error:
        raise _cannot_write(path, error, advice) from error
    finally:
        if scratch:
            scratch.remove()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _new_scratch(parent, name):
    """Creates a hidden folder; if the process is killed, its name tells the origin."""
    return Scratch(parent, f".{name[:_LONGEST_PREFIX]}-")


def _publish_new(temporary, path):
    try:
        os.link(temporary, path)  # Unlike a rename, it never replaces a file.
    except OSError:  # Not all file systems have hard links.
        check_free(path)
        system.replace(temporary, path)


@contextlib.contextmanager
def atomic_directory(
    path: str | os.PathLike,
    *,
    last: str | None = None,
    errors: tuple[type[Exception], ...] = (),
    advice: str = _ADVICE,
) -> Iterator[Path]:
    """Fills a folder under another name and renames it when it is complete and synced.

    Args:
        path: Path that does not exist yet, or of an empty folder. Missing parent
            folders are created.
        last: Optional string. If given, an existing empty folder stays (it may be a
            mount point or the working directory): the entries are moved into it, the
            entry of this name last, so that its presence means that all are there.
            Defaults to `None`: the empty folder is replaced in one step.
        errors: Tuple of exception classes, as for `atomic_file`. Defaults to `()`.
        advice: String, what the user can do, for the message of the error. Defaults to
            `"take another folder, or free space"`.

    Yields:
        Path of an empty folder on the same file system, to fill.

    Raises:
        UsageError: If the folder is not empty or cannot be written.

    Example:

    >>> from bt_keras.files.atomic import atomic_directory
    >>> with atomic_directory("module") as temporary:
    ...     _ = (temporary / "notes.txt").write_text("complete")
    >>> open("module/notes.txt").read()
    'complete'
    """
    target = Path(os.path.realpath(path))
    unwritable: tuple[type[Exception], ...] = (OSError, *errors)
    scratch = None
    try:
        check_empty(path)
        keep = last is not None and target.is_dir()
        parent = target if keep else target.parent
        parent.mkdir(parents=True, exist_ok=True)
        scratch = _new_scratch(parent, target.name)
        temporary = scratch.path / target.name
        temporary.mkdir()
        yield temporary
        for entry in temporary.rglob("*"):
            system.sync(entry)
        if keep:
            check_empty(path, ignore=scratch.path.name)
            _move_entries(temporary, target, last)
        else:
            system.replace(temporary, target)
        system.sync(parent)
    except unwritable as error:
        raise _cannot_write(path, error, advice) from error
    finally:
        if scratch:
            scratch.remove()


def _move_entries(folder, target, last):
    """Moves the entries of a folder, the one of the name `last` at the end."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == last):
        system.replace(entry, target / entry.name)


def _cannot_write(path, error, advice):
    reason = getattr(error, "strerror", None) or one_line(error, _LONGEST_REASON)
    return UsageError(f"{path} cannot be written ({reason}): {advice}.")


def sha256(file: str | os.PathLike | IO[bytes]) -> str:
    """Computes the SHA-256 of a file, reading a few megabytes at a time.

    Args:
        file: Path of a file, or a binary file object.

    Returns:
        String of 64 hexadecimal digits.

    Example:

    >>> import io
    >>> from bt_keras.files import atomic
    >>> atomic.sha256(io.BytesIO(b"abc"))[:8]
    'ba7816bf'
    """
    if isinstance(file, str | os.PathLike):
        with open(file, "rb") as opened:
            return sha256(opened)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
