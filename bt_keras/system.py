"""Locks, signals, renames and syncs, which differ between Linux, macOS and Windows.

The rest of the library calls these functions, and asks for no system by its name.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import filelock

_POLL_SECONDS = 0.1
# How long a wait for a lock is silent.
_NOTICE_POLLS = 20
# Windows's ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION: a file is open.
_IN_USE = (5, 32)
_REPLACE_TRIES = 20

# Schedulers send the first two before they take a machine away, a terminal or an ssh
# session SIGHUP when it ends. SIGBREAK is Windows's: Ctrl+Break, or the end of the
# session. A system has some of them.
STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGUSR1", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)


def total_memory() -> int | None:
    """Returns the memory of this machine in bytes, or `None` where it is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no `sysconf`.
        return None


def try_lock(file: IO) -> bool:
    """Locks an open file until it is closed or the process ends.

    On Windows no other process can then read the file: lock a file of its own, next to
    the one that is to be protected.

    Args:
        file: File object, open for writing.

    Returns:
        Boolean, `False` if another process has the lock. `True`, too, on a file system
        without locks.

    Example:

    >>> from bt_keras import system
    >>> with open("lock", "ab") as file, open("lock", "ab") as second:
    ...     system.try_lock(file), system.try_lock(second)
    (True, False)
    """
    try:
        return filelock.lock_descriptor(file.fileno(), blocking=False)
    except OSError:
        return True


def owner_has_ended(file: IO) -> bool:
    """Returns whether the process that locked a file has ended.

    Args:
        file: File object, open for writing.

    Returns:
        Boolean, `False`, too, on a file system without locks.
    """
    try:
        return filelock.lock_descriptor(file.fileno(), blocking=False)
    except OSError:
        return False


@contextlib.contextmanager
def locked(path: Path, notice: str | None = None) -> Iterator[None]:
    """Waits for the lock of a file; runs without one if the file cannot be written.

    Args:
        path: Path of a file that only serves as a lock, in an existing folder. The file
            is created if necessary, and stays.
        notice: Optional string, printed once if the wait takes seconds. Defaults to
            `None`.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(path.open("ab"))
            for poll in itertools.count():
                if try_lock(file):
                    break
                if notice and poll == _NOTICE_POLLS:
                    print(notice)
                time.sleep(_POLL_SECONDS)
        yield


def replace(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Renames a file or a folder, and replaces a file or an empty folder.

    On Windows a file that is open cannot be replaced or renamed. Virus scanners and
    indexers open new files for moments: the rename is tried for two seconds.

    Args:
        source: Path of the file or folder.
        target: Path on the same file system.

    Raises:
        OSError: If the target cannot be replaced.
    """
    for attempt in itertools.count(1):
        try:
            return os.replace(source, target)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            if os.path.isdir(source) and os.path.isdir(target):
                os.rmdir(target)  # Windows replaces no folder, not even an empty one.
            elif attempt == _REPLACE_TRIES:
                raise
            else:
                time.sleep(_POLL_SECONDS)


def sync(path: str | os.PathLike) -> None:
    """Flushes a file to the disk, and a folder where the system can.

    Args:
        path: Path of a file that this process may write, or of a folder.
    """
    is_folder = os.path.isdir(path)
    try:
        # Windows flushes only what is open for writing, and opens no folders.
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except PermissionError:
        if is_folder:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Some file systems cannot sync folders.
            raise
    finally:
        os.close(descriptor)


def entries(folder: str | os.PathLike) -> list[Path]:
    """Lists the files and folders below a folder, in the same order on every system.

    Windows compares paths without regard to case.
    """
    return sorted(Path(folder).rglob("*"), key=lambda path: path.parts)


def remove_unless_open(path: Path) -> None:
    """Removes a file that exists, unless Windows refuses because it is open."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError as error:
        if getattr(error, "winerror", None) not in _IN_USE:
            raise


def cache_folder() -> Path | None:
    """Finds the folder in which the library keeps files between starts.

    Returns:
        The folder that the environment variable `BT_KERAS_CACHE` names, otherwise
        `bt_keras` in the platform's cache folder for the user (`$XDG_CACHE_HOME` or
        `~/.cache` on Linux). None if a home folder is needed and there is none.
    """
    if os.environ.get("BT_KERAS_CACHE"):
        named = os.path.expanduser(os.environ["BT_KERAS_CACHE"])
        # A home folder that does not exist stays "~".
        return None if named.startswith("~") else Path(named).absolute()
    if sys.platform == "darwin":
        base = "~/Library/Caches"
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        base = base if os.path.isabs(base) else "~/.cache"
    folder = Path(os.path.expanduser(base), "bt_keras")
    return folder if folder.is_absolute() else None
