"""Read small files that may be damaged; errors are one line."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bt_keras import system
from bt_keras.errors import DAMAGE, UsageError, one_line

# Bytes. The files of a run and of a module that are read whole have kilobytes.
LARGEST = 2**26


def read_bytes(path: str | os.PathLike) -> bytes:
    """Reads a small file.

    Args:
        path: Path of a file.

    Returns:
        Bytes.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is a folder or a device, or larger than 64 MiB.
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():  # Reading a FIFO would wait forever.
        raise ValueError("it is a folder" if path.is_dir() else "it is not a file")
    if size > LARGEST:
        raise ValueError(f"it has {size:,} bytes, more than {LARGEST:,}")
    return path.read_bytes()


def read_text(path: str | os.PathLike) -> str:
    """Reads a small UTF-8 file; raises as `read_bytes` does."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error


def read_json_object(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a small JSON file that holds an object; raises as `read_bytes` does."""
    return parse_json_object(read_text(path))


def parse_json_object(text: str) -> dict[str, Any]:
    """Parses a JSON object.

    Args:
        text: String.

    Returns:
        Dict.

    Raises:
        ValueError: If the text is not JSON, or another value than an object.

    Example:

    >>> from bt_keras.files.reading import parse_json_object
    >>> parse_json_object('{"epochs": 2}')
    {'epochs': 2}
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


@contextlib.contextmanager
def reporting_damage(path: str | os.PathLike, advice: str) -> Iterator[None]:
    """Raises `UsageError` for errors of reading a file.

    Args:
        path: Path of the file, for the message.
        advice: String, what the user can do.

    Raises:
        UsageError: If the body raises an exception that an unreadable or damaged file
            causes.
    """
    try:
        yield
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror or one_line(error)}): {advice}."
        ) from error
    except DAMAGE as error:
        raise UsageError(f"{path} is damaged ({one_line(error)}): {advice}.") from error


def set_aside(path: str | os.PathLike) -> str:
    """Renames a damaged file or folder, so that a new one can take its place.

    Args:
        path: Path of the file or folder.

    Returns:
        String, its new name: the old one and `.damaged`. An earlier file of that name
        is replaced; a number follows where that is not possible, because one of them
        is a folder.
    """
    path = Path(path)
    for suffix in ("", *map("-{}".format, range(2, 1000))):
        target = path.with_name(f"{path.name}.damaged{suffix}")
        if not os.path.lexists(target) or not (path.is_dir() or target.is_dir()):
            break
    system.replace(path, target)
    return target.name
