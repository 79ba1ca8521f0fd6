"""Stores features in files, from which an interrupted evaluation resumes.

The features of a split are a folder with `features.npy`, `labels.npy` and `store.json`:
what the features are of, how many rows are done, and the CRC-32 of these rows. Rows are
on the disk before `store.json` counts them. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import shutil
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from bt_keras.errors import DAMAGE, UsageError, one_line
from bt_keras.evaluation.features import Features
from bt_keras.files import atomic, npy_rows, reading
from bt_keras.files.scratch import new_scratch

# Features of this size are kept in memory if they are not kept in a workdir.
IN_MEMORY_BYTES = 2**30
# Seconds of extraction for each second that is spent on syncing files.
_SYNC_INTERVAL = 20.0
STATE = "store.json"

Compute = Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]


@dataclasses.dataclass(frozen=True)
class StoredFeatures:
    """The files of the features of one split. One process may fill them at a time.

    Args:
        folder: Path of the folder, which may not exist yet.
        identity: Dict of JSON values, what the features depend on.
        shape: Tuple of integers (N, F).
        dtype: String, `"float32"` or `"float16"`.
    """

    folder: Path
    identity: Mapping[str, Any]
    shape: tuple[int, int]
    dtype: str

    def intact(self) -> tuple[int, dict[str, int]]:
        """Checks every byte of the rows that are done.

        Returns:
            `(rows, checksums)`: the number of rows that are done, and their CRC-32 by
            the name of the file. 0 rows if the files are damaged, which is a warning.

        Raises:
            UsageError: If the files cannot be read, for example without permission.
        """
        try:
            state = reading.read_json_object(self.folder / STATE)
            if state["identity"] != self.identity:
                raise ValueError(f"{STATE} belongs to other features")
            rows = state["rows"]
            if not 0 <= rows <= self.shape[0]:
                raise ValueError(f"{STATE} has {rows} rows")
            for name, (shape, dtype) in self._arrays().items():
                path = self._path(name)
                if npy_rows.checksum(path, shape, dtype, rows) != state["crc32"][name]:
                    raise ValueError(f"{path.name} has another checksum")
        except FileNotFoundError as error:
            if not (self.folder / STATE).exists():
                return 0, {}  # Nothing was synced.
            self._warn(error)
        except DAMAGE as error:
            self._warn(error)
        except OSError as error:  # It may pass: the features are not given up.
            raise UsageError(
                f"{self.folder} cannot be read ({error.strerror or error}): start "
                "again, or remove the folder to compute its features again."
            ) from error
        else:
            return rows, state["crc32"]
        return 0, {}

    def _warn(self, error):
        reason = getattr(error, "strerror", None) or one_line(error)
        logging.warning(
            "%s is damaged (%s): its features are computed again.", self.folder, reason
        )

    def fill(self, compute: Compute, done: int, checksums: Mapping[str, int]) -> None:
        """Computes and writes the rows that are missing.

        Args:
            compute: Function of the first row that yields features and labels.
            done: Integer, the number of rows to keep.
            checksums: Dict, their CRC-32 by the name of the file.

        Raises:
            UsageError: If the files cannot be written, or the features do not fit into
                their dtype. Rows that are done stay.
        """
        with contextlib.ExitStack() as stack:
            with self._writable():
                self._prepare(done)
                writers = {
                    name: stack.enter_context(self._writer(name, done, checksums))
                    for name in self._arrays()
                }
            last, cost = time.monotonic(), 0.0
            for features, labels in compute(done):
                with self._writable():
                    writers["features"].append(as_dtype(features, self.dtype))
                    writers["labels"].append(labels)
                    if time.monotonic() - last >= _SYNC_INTERVAL * cost:
                        last = time.monotonic()
                        self._sync(writers)
                        cost, last = time.monotonic() - last, time.monotonic()
            with self._writable():
                self._sync(writers)

    def _prepare(self, done):
        if not done:
            # New files: another process may have mapped the damaged ones.
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_space(done)

    def _writer(self, name, done, checksums):
        shape, dtype = self._arrays()[name]
        path, crc = self._path(name), checksums.get(name, 0)
        return npy_rows.RowsWriter(path, shape, dtype, done, crc)

    def _path(self, name):
        return self.folder / f"{name}.npy"

    def open(self) -> Features:
        """Returns the features; the array is mapped, and its blocks are read."""
        path = self._path("features")
        labels = np.load(self._path("labels"))
        features = np.load(path, mmap_mode="r")
        return Features(features, labels, npy_rows.RowsReader(path, *self._array()))

    def _array(self):
        return self.shape, self.dtype

    def _arrays(self):
        return {"features": self._array(), "labels": (self.shape[:1], "int64")}

    def _sync(self, writers):
        for writer in writers.values():
            writer.sync()
        state = {
            "rows": writers["labels"].done,
            "crc32": {name: writer.crc for name, writer in writers.items()},
            "identity": self.identity,
        }
        path = self.folder / STATE
        unfinished = self.folder / ".unfinished" / STATE
        with atomic.atomic_file(path, replace=True, temporary=unfinished) as temporary:
            text = json.dumps(state, indent=2) + "\n"
            temporary.write_text(text, encoding="utf-8", newline="\n")

    def _check_space(self, done):
        needed = (self.shape[0] - done) * (self.shape[1] * self._item_bytes() + 8)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise UsageError(
                f"{self.folder}: {_size(needed)} of features do not fit, {_size(free)} "
                "are free: free space, or set config.evaluation.feature_dtype to "
                "'float16' in the run's config.json."
            )

    def _item_bytes(self):
        return np.dtype(self.dtype).itemsize

    @contextlib.contextmanager
    def _writable(self):
        try:
            yield
        except OSError as error:
            raise UsageError(
                f"{self.folder} cannot be written ({error.strerror or error}): free "
                "space; the same command continues with the features that are done."
            ) from error


def as_dtype(features: np.ndarray, dtype: str) -> np.ndarray:
    """Converts features for storing.

    Args:
        features: float32 array (N, F).
        dtype: String, `"float32"` or `"float16"`.

    Raises:
        UsageError: If a finite feature is too large for the dtype.
    """
    with np.errstate(over="ignore"):
        converted = features.astype(dtype, copy=False)
    if np.isinf(converted).sum() > np.isinf(features).sum():
        raise UsageError(
            f"features of up to {np.abs(features).max():.3g} do not fit into {dtype}: "
            "set config.evaluation.feature_dtype to 'float32' in the run's config.json."
        )
    return converted


def temporary(shape: tuple[int, int], dtype: str, compute: Compute) -> Features:
    """Computes features that are kept as long as they are used.

    Args:
        shape: Tuple of integers (N, F).
        dtype: String, `"float32"` or `"float16"`.
        compute: Function of the first row that yields features and labels.

    Returns:
        `Features`, in memory if they take at most 1 GiB, otherwise in a temporary
        folder.

    Example:

    >>> from bt_keras.evaluation.feature_store import temporary
    >>> blocks = [(np.ones((2, 3), "float32"), np.array([0, 1]))]
    >>> temporary((2, 3), "float16", lambda first: iter(blocks)).features.dtype
    dtype('float16')
    """
    if math.prod(shape) * np.dtype(dtype).itemsize <= IN_MEMORY_BYTES:
        blocks = [(as_dtype(rows, dtype), labels) for rows, labels in compute(0)]
        features, labels = map(np.concatenate, zip(*blocks, strict=True))
        return Features(features, labels)
    scratch = new_scratch()
    try:
        stored = StoredFeatures(scratch.path / "features", {}, shape, dtype)
        stored.fill(compute, 0, {})
        opened = stored.open()
    except BaseException:
        scratch.remove()
        raise
    weakref.finalize(opened, scratch.remove)
    return opened


def _size(count):
    return f"{count / 1e9:.3g} GB"
