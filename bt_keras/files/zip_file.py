"""Zip files of untrusted origin: their members are counted before one is read."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from typing import Any

from bt_keras.files import reading

# The limits of all archives.
MAX_MEMBERS = 10_000
# Bytes that compressed members may have when decompressed.
MAX_BYTES = 2**33
# Bytes by which all members may exceed the file: compression can hide any number.
_MAX_EXCESS = 2**29
_MAX_DIRECTORY = 2**24  # Bytes of the list of members.
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextlib.contextmanager
def opened(
    path: str | os.PathLike, max_bytes: int | None = None
) -> Iterator[zipfile.ZipFile]:
    """Opens a zip file to read it.

    Args:
        path: Path of a file.
        max_bytes: Optional integer, the most bytes that compressed members may have
            when decompressed. Defaults to `None`: 512 MiB more than the file, and at
            most 8 GiB.

    Yields:
        `zipfile.ZipFile`.

    Raises:
        OSError: If the file cannot be opened.
        zipfile.BadZipFile: If it is damaged, or has too many members or bytes.
    """
    # Opening a FIFO would wait for a writer.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise zipfile.BadZipFile("it is not a file")
    with _Reader(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        file.longest = None
        _check(archive, os.fstat(file.fileno()).st_size, max_bytes)
        yield archive


def read_json_object(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    """Reads a JSON object from a member.

    Args:
        archive: What `opened` yields.
        name: String, the name of the member.

    Returns:
        Dict.

    Raises:
        bt_keras.errors.DAMAGE: If there is no such member, it is larger than 64 MiB,
            damaged, or another value than an object.
    """
    if archive.getinfo(name).file_size > reading.LARGEST:
        raise ValueError(f"{name} is too large")
    return reading.parse_json_object(archive.read(name).decode())


class _Reader(io.BufferedReader):
    """A file of which only short pieces can be read until `longest` is `None`.

    `zipfile` reads the whole list of members, and keeps ten times its size in memory.
    """

    longest: int | None = _MAX_DIRECTORY

    def read(self, size=-1):
        if self.longest is not None and size > self.longest:
            raise zipfile.BadZipFile("the list of its members is too long")
        return super().read(size)


def _check(archive, size, max_bytes):
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise zipfile.BadZipFile(f"it has more than {MAX_MEMBERS:,} members")
    if any(member.compress_type not in _KINDS for member in members):
        raise zipfile.BadZipFile("a member has an unknown kind of compression")
    sizes = {kind: 0 for kind in _KINDS}
    for member in members:
        sizes[member.compress_type] += member.file_size
    stored, compressed = (sizes[kind] for kind in _KINDS)
    if stored > size:
        raise zipfile.BadZipFile("the members are larger than the file")
    largest = max_bytes
    if max_bytes is None:
        largest = min(size + _MAX_EXCESS - stored, MAX_BYTES)
    if compressed > largest:
        raise zipfile.BadZipFile(
            f"it has {compressed:,} bytes when decompressed, more than {largest:,}"
        )
