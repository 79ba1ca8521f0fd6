"""Files of weights by their suffix: PyTorch's, safetensors and NumPy's."""

import contextlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from bt_keras import atomic
from bt_keras.convert.pth import reader, writer
from bt_keras.errors import DAMAGE, UsageError, one_line, shown

SUFFIXES = (".pth", ".pt", ".safetensors", ".npz")
_TREES = (".pth", ".pt")  # The others hold arrays by name, and nothing else.


def load(path):
    """Reads a file of weights; no code that it may hold is run.

    All of it is read into memory, which must have room for the whole file: twice that
    where the numbers are bfloat16, which become float32.

    Args:
        path: str or path of a `.pth`, `.pt`, `.safetensors` or `.npz` file.

    Returns:
        dict of str to NumPy array; from a `.pth`, whatever `torch.save` was given,
        with NumPy arrays for tensors.

    Raises:
        UsageError: if it is of another kind, damaged, or cannot be read.

    Example:

    >>> state = bt_keras.convert.load("resnet50.pth")
    >>> state["conv1.weight"].shape
    (64, 3, 7, 7)
    """
    path = Path(path)
    suffix = suffix_of(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file of weights in it.")
    if suffix in _TREES:
        return reader.load(path)
    try:
        path.open("rb").close()
        return (
            _load_npz(path) if suffix == ".npz" else safetensors.numpy.load_file(path)
        )
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None
    except _DAMAGE as error:
        raise UsageError(
            f"{path} is not a whole {suffix} file ({one_line(error)}): copy or "
            "download it again."
        ) from None


def save(path, tree):
    """Writes a file of weights, whole or not at all.

    Args:
        path: str or path of a file that does not exist yet: `.pth` or `.pt`, which
            torch.load reads, `.safetensors`, or `.npz`.
        tree: dict of str to NumPy array; into a `.pth` also nested dicts, lists and
            tuples of arrays, numbers and str, such as what `to_checkpoint` returns.

    Raises:
        UsageError: if the file exists, the suffix is another or cannot hold the tree,
            or it cannot be written.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in _TREES:
        _check_flat(path, tree)
    with writing(path) as temporary:
        if suffix == ".safetensors":
            # It takes an array's memory as it lies there.
            arrays = {name: np.asarray(a, order="C") for name, a in tree.items()}
            safetensors.numpy.save_file(arrays, temporary)
            return
        with open(temporary, "wb") as file:
            if suffix == ".npz":
                _save_npz(file, tree)
            else:
                writer.save(file, tree)


def writing(path):
    """Return `atomic_file` with the errors of the libraries that write weights."""
    # HDF5 and safetensors have their own for what the file system refuses.
    check_new(path)
    errors = (RuntimeError, safetensors.SafetensorError)
    return atomic.atomic_file(path, errors=errors)


@contextlib.contextmanager
def named(path):
    """Puts a file's name before what is wrong with its contents."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def check_new(path):
    """Raises `UsageError` if a file cannot be made, or is there: none is replaced."""
    atomic.check_free(path)
    if not path.parent.is_dir():
        raise UsageError(
            f"{path} cannot be written: there is no folder {path.parent}; make it."
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(
            f"{path} cannot be written: no permission; take another folder."
        )


def suffix_of(path):
    """Returns str, one of `SUFFIXES`, or raises `UsageError`."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: a file of weights ends in one of {', '.join(SUFFIXES)}, not "
            f"{suffix or 'nothing'!r}."
        )
    return suffix


_DAMAGE = (safetensors.SafetensorError, *DAMAGE)


def _load_npz(path):
    if not zipfile.is_zipfile(path):  # NumPy would take it for a pickle.
        raise zipfile.BadZipFile("not a zip archive, or the end is missing")
    with np.load(path, allow_pickle=False) as file:
        return {name: np.asarray(file[name]) for name in file.files}


def _save_npz(file, arrays):
    """As `np.savez`, which takes names as arguments and so not "file"."""
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
            f"{path} can hold arrays by name only: a whole checkpoint, with its "
            "optimizer's momenta, goes into a .pth."
        )
    for name, value in tree.items():
        if value.dtype.hasobject:
            raise UsageError(f"{shown(name)} is an array of objects, not of numbers.")
