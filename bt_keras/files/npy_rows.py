"""`.npy` files that are filled from the first row to the last, and read in blocks."""

from __future__ import annotations

import io
import math
import os
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np

_CHUNK = 2**24  # bytes


class RowsWriter:
    """Appends rows to a `.npy` file whose final shape is known.

    The file grows with its rows: NumPy opens it only when it is complete. What was
    appended is on the disk after the next `sync`.

    Args:
        path: Path of the file, which is created or, with `done`, continued.
        shape: Tuple of integers, the shape of the complete array.
        dtype: Its dtype, which has no objects.
        done: Integer, the number of rows to keep of the file; later ones are removed.
            Defaults to `0`: a new file.
        crc: Integer, the CRC-32 of these rows. Defaults to `0`.

    Attributes:
        done: Integer, the number of rows in the file.
        crc: Integer, the CRC-32 of their bytes.

    Example:

    >>> from pathlib import Path
    >>> from bt_keras.files.npy_rows import RowsWriter
    >>> with RowsWriter(Path("rows.npy"), (3, 2), "float32") as writer:
    ...     writer.append(np.zeros((1, 2)))
    ...     writer.append(np.ones((2, 2)))
    >>> np.load("rows.npy", mmap_mode="r")[2]
    memmap([1., 1.], dtype=float32)
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: np.dtype | str,
        done: int = 0,
        crc: int = 0,
    ):
        self.done, self.crc = done, crc
        self._shape, self._dtype = shape, np.dtype(dtype)
        header = _header(shape, dtype)
        # Unbuffered: no error is delayed until the file is closed.
        self._file = path.open("r+b" if done else "wb", buffering=0)
        if not done:
            self._write(header)
        self._file.truncate(len(header) + done * _row_bytes(shape, dtype))
        self._file.seek(0, os.SEEK_END)

    def append(self, rows: np.ndarray) -> None:
        """Appends rows; converts them to the dtype of the file.

        Args:
            rows: Array of shape `(M, *shape[1:])`.

        Raises:
            OSError: If they cannot be written.
            ValueError: If their shape does not fit, or they are too many.
        """
        if rows.shape[1:] != self._shape[1:] or self.done + len(rows) > self._shape[0]:
            raise ValueError(f"{rows.shape} after {self.done} rows of {self._shape}")
        content = (
            np.ascontiguousarray(rows, self._dtype).reshape(-1).view(np.uint8).data
        )
        self._write(content)
        self.crc = zlib.crc32(content, self.crc)
        self.done += len(rows)

    def sync(self) -> None:
        """Waits until the rows are on the disk."""
        os.fsync(self._file)

    def _write(self, content):
        unwritten = memoryview(content)
        while unwritten:
            unwritten = unwritten[self._file.write(unwritten) :]

    def __enter__(self) -> RowsWriter:
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()


def checksum(
    path: Path, shape: tuple[int, ...], dtype: np.dtype | str, rows: int
) -> int:
    """Computes the CRC-32 of the first rows of a file of `RowsWriter`.

    Args:
        path: Path of the file.
        shape: Tuple of integers, the shape of the complete array.
        dtype: Its dtype.
        rows: Integer, number of rows.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it has fewer rows, or is a file of another array.
    """
    header, crc = _header(shape, dtype), 0
    unread = rows * _row_bytes(shape, dtype)
    with path.open("rb") as file:
        if file.read(len(header)) != header:
            raise ValueError(f"{path.name} is not an array of this shape and dtype")
        while unread:
            chunk = file.read(min(unread, _CHUNK))
            if not chunk:
                raise ValueError(f"{path.name} is truncated")
            unread -= len(chunk)
            crc = zlib.crc32(chunk, crc)
    return crc


class RowsReader:
    """Reads rows of a complete file of `RowsWriter`; threads may share it.

    Unlike pages of a mapped array, rows that were read do not stay in the memory of
    the process. The file stays open as long as the reader exists.

    Args:
        path: Path of the file.
        shape: Tuple of integers, the shape of the array.
        dtype: Its dtype.

    Raises:
        OSError: If the file cannot be opened.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype | str):
        self.path = path
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._first = len(_header(shape, dtype))
        self._file = path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)
        self._position = threading.Lock()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Returns the rows from `start` to `stop`, or to the last row.

        Raises:
            OSError: If the file cannot be read.
            EOFError: If it is truncated.
        """
        rows = np.empty(
            (min(stop, self._shape[0]) - start, *self._shape[1:]), self._dtype
        )
        self.read_into(start, rows)
        return rows

    def read_into(self, start: int, rows: np.ndarray) -> None:
        """Reads the rows from `start` into an array, which spares its allocation.

        Args:
            start: Integer, the first row.
            rows: Contiguous array of the dtype of the file, as many rows as it has.

        Raises:
            OSError: If the file cannot be read.
            EOFError: If it is truncated.
            ValueError: If the array is not contiguous or has another dtype.
        """
        if rows.dtype != self._dtype or not rows.flags.c_contiguous:
            raise ValueError(f"{self.path}: the array must be contiguous {self._dtype}")
        unread = rows.reshape(-1).view(np.uint8).data
        offset = self._first + start * _row_bytes(self._shape, self._dtype)
        while unread:
            count = self._read_at(offset, unread)
            if not count:
                raise EOFError(f"{self.path} is truncated")
            unread, offset = unread[count:], offset + count

    def _read_at(self, offset, buffer):
        """Reads bytes into a buffer; returns their number."""
        if hasattr(os, "preadv"):  # Threads read at the same time.
            return os.preadv(self._file.fileno(), [buffer], offset)
        with self._position:
            self._file.seek(offset)
            return self._file.readinto(buffer)


def _header(shape, dtype):
    file = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    fields = {"descr": descr, "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(file, fields)
    return file.getvalue()


def _row_bytes(shape, dtype):
    return math.prod(shape[1:]) * np.dtype(dtype).itemsize
