"""Locks, signals and renames, which differ between Linux, macOS and Windows.

The rest of the library calls these functions, and asks for no system by its name.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import filelock

_POLL_SECONDS = 0.1
# How long a wait for a lock is silent.
_NOTICE_POLLS = 20


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


@contextlib.contextmanager
def locked(path: Path, notice: str | None = None) -> Iterator[None]:
    """Waits for the lock of a file and holds it; goes on if the file cannot be written.

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
