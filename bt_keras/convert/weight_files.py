"""Reads and writes weight files: PyTorch's, safetensors and NumPy's, by suffix."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from bt_keras.convert.pth import reader, writer
from bt_keras.errors import DAMAGE, UsageError, one_line, shown
from bt_keras.files import atomic, npz_file

# All but the last two are files of `torch.save`, .ckpt those of Lightning, .torch those
# of VISSL.
SUFFIXES = (".pth", ".pt", ".ckpt", ".torch", ".safetensors", ".npz")
_TREES = SUFFIXES[:-2]  # The other formats hold a flat dict of arrays.
_MAX_HEADER = 2**24  # Bytes of the names and shapes in a safetensors file.
_DAMAGE = (safetensors.SafetensorError, *DAMAGE)


def load(path: str | os.PathLike, *, max_bytes: int | None = None):
    """Loads a weight file without running code from it.

    The whole file is read into memory. bfloat16 in a `.pth` is converted to float32,
    which takes twice as much.

    Args:
        path: String or path of a `.pth`, `.pt`, `.ckpt`, `.torch`, `.safetensors` or
            `.npz` file.
        max_bytes: Optional integer, the most bytes that the arrays of a compressed
            `.npz` may have. Defaults to `None`: 512 MiB more than the file, and at most
            8 GiB.

    Returns:
        Dict of str to NumPy array. From a `.pth`, whatever was passed to
        `torch.save`, with NumPy arrays in place of tensors.

    Raises:
        UsageError: If the file has another format, is damaged or cannot be read.

    Example:

    >>> bt_keras.convert.save("weights.npz", {"fc.bias": np.zeros(10)})
    >>> bt_keras.convert.load("weights.npz")["fc.bias"].shape
    (10,)
    """
    path = Path(path)
    suffix = get_suffix(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder: pass a weight file.")
    if path.exists() and not path.is_file():  # Opening a FIFO would wait forever.
        raise UsageError(f"{path} is not a file: pass a weight file.")
    if suffix in _TREES:
        return reader.load(path)
    try:
        path.open("rb").close()
        if suffix == ".npz":
            return npz_file.load(path, max_bytes)
        _check_safetensors(path)
        return safetensors.numpy.load_file(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None
    except _DAMAGE as error:
        raise UsageError(
            f"{path} is not a valid {suffix} file ({one_line(error)}): copy or "
            "download it again."
        ) from None


def save(path: str | os.PathLike, tree) -> None:
    """Saves weights to a file, completely or not at all.

    Args:
        path: String or path of a new file: `.pth`, `.pt`, `.ckpt` or `.torch` for
            `torch.load`, `.safetensors`, or `.npz`.
        tree: Dict of str to NumPy array. For a `.pth`, also nested dicts, lists and
            tuples of arrays, numbers and str, such as the result of `to_checkpoint`.

    Raises:
        UsageError: If the file exists, its format is unknown or cannot hold the tree,
            or it cannot be written.

    Example:

    >>> weights = {"fc.weight": np.zeros((10, 512)), "fc.bias": np.zeros(10)}
    >>> bt_keras.convert.save("classifier.pth", {"epoch": 3, "model": weights})
    >>> bt_keras.convert.load("classifier.pth")["epoch"]
    3
    """
    path = Path(path)
    suffix = get_suffix(path)
    if suffix not in _TREES:
        _check_flat(path, tree)
    with writing(path) as temporary:
        if suffix == ".safetensors":
            # safetensors ignores strides: it copies the memory of an array.
            arrays = {name: np.asarray(a, order="C") for name, a in tree.items()}
            safetensors.numpy.save_file(arrays, temporary)
            return
        with open(temporary, "wb") as file:
            if suffix == ".npz":
                _save_npz(file, tree)
            else:
                writer.save(file, tree)


def writing(path: Path):
    """Returns `atomic_file` with the exceptions of the libraries that write weights."""
    # HDF5 and safetensors raise them if the file system refuses to write.
    check_new(path)
    errors = (RuntimeError, safetensors.SafetensorError)
    return atomic.atomic_file(path, errors=errors)


@contextlib.contextmanager
def prefix_errors(path: str | os.PathLike):
    """Adds the path to the message of a `UsageError` about a file's contents."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def check_new(path: Path) -> None:
    """Raises `UsageError` if a file exists or its folder is missing or read-only."""
    atomic.check_free(path)
    if not path.parent.is_dir():
        raise UsageError(
            f"{path} cannot be written: there is no folder {path.parent}; make it."
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(
            f"{path} cannot be written: no permission; use another folder."
        )


def get_suffix(path: str | os.PathLike) -> str:
    """Returns a file's suffix in lower case; raises unless it is in `SUFFIXES`."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: the name of a weight file must end in one of "
            f"{', '.join(SUFFIXES)}, not {suffix!r}."
        )
    return suffix


def _check_safetensors(path):
    """Checks the size of the header, which is kept in memory several times."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > _MAX_HEADER:
        raise ValueError(f"a header of {size:,} bytes")


def _save_npz(file, arrays):
    """Does what `np.savez` does, which cannot save an array named "file"."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _check_flat(path, tree):
    if not isinstance(tree, Mapping) or not all(
        isinstance(name, str) and isinstance(value, np.ndarray)
        for name, value in tree.items()
    ):
        raise UsageError(
            f"{path} can hold only a dict of arrays: save a whole checkpoint with "
            "optimizer state as .pth."
        )
    for name, value in tree.items():
        if value.dtype.hasobject:
            raise UsageError(f"{shown(name)} has type object, not numbers.")
