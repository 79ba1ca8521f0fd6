"""NumPy's `.npz` files: written in blocks, and read although their origin is unknown.

Reading accepts no pickles, and no more bytes than a file declares.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Iterable

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


def write_rows(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype | str,
    blocks: Iterable[np.ndarray],
) -> None:
    """Adds an array to a `.npz` file, without keeping more than a block in memory.

    Args:
        archive: `zipfile.ZipFile`, opened for writing.
        name: String, the name of the array.
        shape: Tuple of integers, the shape of the array.
        dtype: Its dtype, which has no objects.
        blocks: Iterable of arrays, the rows in their order.

    Raises:
        ValueError: If the blocks have another number of rows or another shape.

    Example:

    >>> import zipfile
    >>> from bt_keras.files import npz_file
    >>> with zipfile.ZipFile("rows.npz", "w") as archive:
    ...     blocks = (np.full((2, 3), i) for i in range(2))
    ...     npz_file.write_rows(archive, "rows", (4, 3), "int64", blocks)
    >>> np.load("rows.npz")["rows"][:, 0]
    array([0, 0, 1, 1])
    """
    dtype, count = np.dtype(dtype), 0
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    with archive.open(f"{name}{_SUFFIX}", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            if block.shape[1:] != shape[1:]:
                raise ValueError(f"rows of {block.shape[1:]} in an array of {shape}")
            count += len(block)
            file.write(np.asarray(block, dtype).tobytes())
    if count != shape[0]:
        raise ValueError(f"{count} rows in an array of {shape}")


def read_array(contents: bytes) -> np.ndarray:
    """Reads an array from the contents of a `.npy` file.

    Args:
        contents: Bytes. Contents of the file.

    Raises:
        bt_keras.errors.DAMAGE: If it is damaged, or holds objects.
    """
    _check_header(contents[: _START + _MAX_HEADER], len(contents))
    return np.lib.format.read_array(io.BytesIO(contents), allow_pickle=False)


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
