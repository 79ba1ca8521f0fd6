"""NumPy's `.npz` files of untrusted origin: no pickles, no more than they declare."""

from __future__ import annotations

import io
import math
import os
import struct

import numpy as np

from bt_keras.files import zip_file

_SUFFIX = ".npy"
# Bytes: the magic number, the version, and the length of the header in both versions.
_MAGIC, _START = 6, 12
_MAX_HEADER = 10_000  # NumPy's limit for files of untrusted origin.


def load(path: str | os.PathLike, max_bytes: int | None = None) -> dict:
    """Loads all arrays of a `.npz` file.

    Args:
        path: Path of the file.
        max_bytes: Optional integer, the most bytes that compressed arrays may have.
            Defaults to `None`: 512 MiB more than the file, and at most 8 GiB.

    Returns:
        Dict of str to NumPy array.

    Raises:
        OSError: If the file cannot be opened.
        bt_keras.errors.DAMAGE: If it is damaged, too large or holds objects.

    Example:

    >>> from bt_keras.files import npz_file
    >>> np.savez_compressed("zeros.npz", zeros=np.zeros(3))
    >>> npz_file.load("zeros.npz")["zeros"]
    array([0., 0., 0.])
    """
    with zip_file.opened(path, max_bytes) as archive:
        return {
            member.filename.removesuffix(_SUFFIX): _array(archive, member)
            for member in archive.infolist()
        }


def _array(archive, member):
    with archive.open(member) as file:
        _check_header(file.read(_START + _MAX_HEADER), member.file_size)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check_header(start, size):
    """Checks that the array is not larger than its file: NumPy allocates it first."""
    if len(start) < _START:
        raise EOFError("an array that ends early")
    file = io.BytesIO(start)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        (length,) = struct.unpack_from("<H", start, _MAGIC + 2)
        read = np.lib.format.read_array_header_1_0
    elif version == (2, 0):
        (length,) = struct.unpack_from("<I", start, _MAGIC + 2)
        read = np.lib.format.read_array_header_2_0
    else:
        raise ValueError(f"an array of the unknown format {version}")
    if length > _MAX_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    shape, _, dtype = read(file)
    # NumPy refuses objects, whose size is unknown, with a message of its own.
    too_large = math.prod(shape) * dtype.itemsize > size - file.tell()
    if too_large and not dtype.hasobject:
        raise ValueError("an array that is larger than its file")
