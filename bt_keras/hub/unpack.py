"""Unpacks the archive of a module: only plain files and folders, within limits."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from bt_keras.hub import tar_members
from bt_keras.hub.member_names import UnsafeError

# Raised by the decompressors and tarfile for a damaged archive.
DAMAGE = (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError)
_CHUNK = 2**20
# Bytes behind the end mark of an archive, which pads it to whole records.
_MAX_PADDING = 2**24
_OPENERS: dict[bytes, Callable] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
_XZ = b"\xfd7zXZ\0"


def unpack(
    archive: str | os.PathLike | BinaryIO,
    folder: str | os.PathLike,
    max_bytes: int = tar_members.MAX_BYTES,
) -> None:
    """Unpacks a tar file; everything in it is checked before anything is written.

    Owners, permissions and times are not restored.

    Args:
        archive: Path of a tar file, uncompressed or compressed with gzip or bzip2; or
            a seekable binary file.
        folder: Path of an existing, empty folder. It is empty again after an error.
        max_bytes: Integer, the most bytes that all files together may have. Defaults to
            8 GiB.

    Raises:
        UnsafeError: If the archive has anything but plain files and folders, unsafe
            names, more than 10,000 members or more than `max_bytes` bytes.
        OSError: If it cannot be read or the folder cannot be written.
        `DAMAGE`: If it is damaged.
    """
    with _opened(archive) as file:
        for _ in _members(file, max_bytes):
            pass
        try:
            for member in _members(file, max_bytes):
                _write(member, Path(folder, *member.parts))
        except BaseException:
            _empty(folder)
            raise


@contextlib.contextmanager
def _opened(archive):
    if not isinstance(archive, str | os.PathLike):
        yield archive
        return
    # Opening a FIFO would wait for a writer.
    if not stat.S_ISREG(os.stat(archive).st_mode):
        raise UnsafeError("it is neither a file nor a folder")
    with open(archive, "rb") as file:
        yield file


def _members(file, max_bytes) -> Iterator[tar_members.Member]:
    """Yields all members; reads to the end, where gzip has its checksum."""
    file.seek(0)
    start = file.read(len(_XZ))
    file.seek(0)
    if start == _XZ:
        raise UnsafeError("it is compressed with xz: pack it as .tar.gz")
    openers = [o for magic, o in _OPENERS.items() if start.startswith(magic)]
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(openers[0](file)) if openers else file
        yield from tar_members.read(stream, max_bytes)
        padding = 0
        while openers and (chunk := stream.read(_CHUNK)):
            padding += len(chunk)
            if padding > _MAX_PADDING:
                raise UnsafeError("it has more data behind its last member")


def _write(member, path):
    if member.contents is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        while chunk := member.contents.read():
            file.write(chunk)


def _empty(folder):
    for entry in Path(folder).iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink()
