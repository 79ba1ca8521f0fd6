"""Temporary folders, which a later process removes if theirs was killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bt_keras import system
from bt_keras.errors import UsageError

_PREFIX = "bt_keras-"
# A file in the folder that its process has locked.
_LOCK = ".in-use"


class Scratch:
    """A new temporary folder. Those that killed processes left are removed first.

    Args:
        parent: Optional path of an existing folder, in which it is created. Defaults to
            `None`, the system's temporary folder.
        prefix: String, the beginning of its name; the same for all folders that replace
            each other. Defaults to `"bt_keras-"`.

    Attributes:
        path: Path of the folder.

    Raises:
        OSError: If it cannot be created.
    """

    def __init__(self, parent: str | os.PathLike | None = None, prefix: str = _PREFIX):
        parent = Path(parent or tempfile.gettempdir())
        _remove_abandoned(parent, prefix)
        self.path = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        self._lock = contextlib.ExitStack()
        # Without a lock, which not all file systems have, the folder works as well.
        with contextlib.suppress(OSError):
            unlocked = self.path / f"{_LOCK}.new"
            file = self._lock.enter_context(unlocked.open("ab"))
            system.try_lock(file)
            # Other processes look for this name, and must not find it unlocked.
            unlocked.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Removes the folder and everything in it."""
        self._lock.close()  # First: Windows cannot remove an open file.
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Creates a temporary folder that is removed at the end of a `with` block.

    Yields:
        Path of the folder, which is empty.

    Raises:
        UsageError: If it cannot be created.

    Example:

    >>> from bt_keras.files.scratch import scratch_folder
    >>> with scratch_folder() as path:
    ...     _ = (path / "notes.txt").write_text("for a moment")
    >>> path.exists()
    False
    """
    created = new_scratch()
    try:
        files = created.path / "files"
        files.mkdir()
        yield files
    finally:
        created.remove()


def new_scratch() -> Scratch:
    """Creates a `Scratch` in the system's temporary folder.

    Raises:
        UsageError: If it cannot be created.
    """
    try:
        return Scratch()
    except OSError as error:
        raise UsageError(
            f"no temporary folder can be created ({error.strerror}): free space, or "
            "set TMPDIR to another folder."
        ) from error


def _remove_abandoned(parent, prefix):
    """Removes the folders of processes that have ended."""
    name = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")  # As `mkdtemp` names them.
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if name.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(path):
    with open(path / _LOCK, "r+b") as file:
        abandoned = system.owner_has_ended(file)
    if abandoned:
        shutil.rmtree(path, ignore_errors=True)
