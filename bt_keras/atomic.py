"""Files and folders that are written whole or not at all, and replace nothing."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from bt_keras.errors import UsageError


def check_free(path):
    """Raises `UsageError` if something is at the path already."""
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already: remove it, or take another name.")


@contextlib.contextmanager
def file(path, errors=()):
    """Gives a file its name when it is whole and on the disk.

    Args:
        path: path of a file that does not exist yet. Its folder is made.
        errors: tuple of exception classes, besides OSError, by which what is called
            to write the file says what the file system refuses.

    Yields:
        path of a file of the same name, in a folder of its own beside it, to write.

    Raises:
        UsageError: if the file is there already, or the file system refuses.
    """
    path = Path(path)
    check_free(path)
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix="."))
        temporary = scratch / path.name
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        _publish(temporary, path)
    except (OSError, *errors) as error:
        raise _refused(path, error) from error
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


def _publish(temporary, path):
    try:
        os.link(temporary, path)  # Unlike a renamed file, it replaces none.
    except OSError:
        check_free(path)
        os.replace(temporary, path)  # Not all file systems have links.


@contextlib.contextmanager
def folder(path):
    """Gives a folder its name when all is in it.

    Args:
        path: path that does not exist yet, or of an empty folder.

    Yields:
        path of an empty folder beside it, to fill.

    Raises:
        UsageError: if it is taken, or the file system refuses.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            f"{path} is there already and not empty: remove it, or take another folder."
        )
    target = path.resolve()
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.mkdtemp(dir=target.parent, prefix=".")
        yield Path(temporary)
        os.chmod(temporary, 0o755)
        os.replace(temporary, target)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _refused(path, error):
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return UsageError(
        f"{path} cannot be written ({reason[:200]}): take another folder, or free "
        "space."
    )
