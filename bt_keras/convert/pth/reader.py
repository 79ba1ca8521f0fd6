"""Reads PyTorch's files with NumPy: zip archives and the older stream format.

A zip archive has a folder with `data.pkl` (everything except the elements of tensors),
`data/KEY` (the elements of one storage per file) and an optional `byteorder`. A stream
is five pickles (magic number, version, system information, data, keys of the storages)
followed by the storages: the number of elements as an int64, then the elements.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile

import numpy as np

from bt_keras.convert.pth import unpickler
from bt_keras.convert.pth.allowed_globals import (
    DamagedFileError,
    ForbiddenGlobalError,
    Storage,
    StoredTensor,
    UnsupportedTensorError,
)
from bt_keras.errors import DAMAGE, UsageError, one_line, shown
from bt_keras.files import zip_file

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_VERSION = 1001
# torchvision's files before 2021 are tar archives: their magic number and its offset.
_TAR, _TAR_OFFSET = b"ustar", 257
_MAX_SHARING = 10  # Number of tensors per stored element; tied weights need a few.
_DAMAGE = (DamagedFileError, struct.error, AttributeError, *DAMAGE)


def load(path: str | os.PathLike):
    """Reads a file written by `torch.save` without running code from it.

    Args:
        path: Path of a `.pth` file.

    Returns:
        Nested dicts, lists and tuples of str, numbers, `None` and, in place of
        tensors, NumPy arrays. Arrays of the same storage share read-only memory.
        bfloat16 is converted to float32, which is exact.

    Raises:
        UsageError: If the file cannot be read, is truncated, is not a PyTorch file,
            or its pickle refers to anything that is not plain data.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_TAR_OFFSET + len(_TAR))
            file.seek(0)
            if start.startswith(_ZIP):
                with zip_file.opened(path) as archive:
                    return _load_archive(archive)
            if start.startswith(_PICKLE):
                return _load_stream(file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None
    except ForbiddenGlobalError as error:
        raise UsageError(
            f"{path} was rejected without running code from it: its pickle uses "
            f"{error}, which plain tensors do not need. Use a file that contains only "
            "a state_dict."
        ) from None
    except UnsupportedTensorError as error:
        raise UsageError(
            f"{path} contains an unsupported data type or kind of tensor ({error}): "
            "save plain float32 tensors."
        ) from None
    except _DAMAGE as error:
        raise UsageError(
            f"{path} is truncated or damaged ({one_line(error)}): copy or download it "
            "again."
        ) from None
    raise UsageError(f"{path} {_describe_other_format(start)}")


def _describe_other_format(start):
    if start[_TAR_OFFSET:] == _TAR:
        return (
            "has PyTorch's oldest format (tar), as torchvision's files before 2021: "
            "download a current file, or load it with torch and save it again."
        )
    problem = "is not a PyTorch file" if start else "is empty"
    return f"{problem}: pass a file written by torch.save."


def _load_archive(archive):
    roots = [
        name.removesuffix("data.pkl")
        for name in archive.namelist()
        if name.endswith("/data.pkl") and name.count("/") == 1
    ]
    if len(roots) != 1:
        raise DamagedFileError("a zip archive without a data.pkl from torch.save")
    root = roots[0]
    order = "<"
    if f"{root}byteorder" in archive.namelist():
        order = ">" if _member(archive, f"{root}byteorder") == b"big" else "<"
    tree = unpickler.load(io.BytesIO(_member(archive, f"{root}data.pkl")))

    def read(storage):
        content = _member(archive, f"{root}data/{storage.key}")
        return _decode(content, storage, order)

    return _insert_arrays(tree, read)


def _member(archive, name):
    # A small compressed member can be huge when decompressed; PyTorch writes none.
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise DamagedFileError(f"{shown(name)} is compressed")
    return archive.read(name)


def _load_stream(file):
    magic = unpickler.load(file)
    if type(magic) is not int or magic != _STREAM_MAGIC:
        raise DamagedFileError("a pickle that was not written by torch.save")
    version = unpickler.load(file)
    if type(version) is not int or version != _STREAM_VERSION:
        version = version if type(version) is int else type(version).__name__
        raise DamagedFileError(
            f"stream format version {version} instead of {_STREAM_VERSION}"
        )
    unpickler.load(file)  # System information; elements are always little-endian.
    storages: dict[str, Storage] = {}
    tree = unpickler.load(file, storages)
    keys = unpickler.load(file)
    is_valid = type(keys) is list and all(type(key) is str for key in keys)
    if not is_valid or sorted(keys) != sorted(storages):
        raise DamagedFileError("the list of storages does not match the tensors")
    found = {key: _stream_storage(file, storages[key]) for key in keys}
    return _insert_arrays(tree, lambda storage: found[storage.key])


def _stream_storage(file, storage):
    header = file.read(8)
    if len(header) < 8 or int.from_bytes(header, "little") != storage.count:
        raise DamagedFileError(
            f"storage {shown(storage.key)} is missing or has a different size"
        )
    remaining = os.fstat(file.fileno()).st_size - file.tell()
    content = file.read(min(storage.count * _item_size(storage), remaining))
    return _decode(content, storage, "<")


def _item_size(storage):
    return 2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize


def _decode(content, storage, order):
    size = storage.count * _item_size(storage)
    if storage.count < 0 or len(content) < size:
        raise DamagedFileError(
            f"storage {shown(storage.key)} has {len(content)} bytes instead of {size}"
        )
    if not storage.count:
        return np.zeros(0, np.float32 if storage.dtype == "bfloat16" else storage.dtype)
    if storage.dtype == "bfloat16":  # The upper half of a float32.
        bits = np.frombuffer(content, f"{order}u2", storage.count).astype(np.uint32)
        elements = (bits << 16).view(np.float32)
        elements.flags.writeable = False
        return elements
    return np.frombuffer(content, np.dtype(order + storage.dtype), storage.count)


def _insert_arrays(tree, read):
    """Copies a tree with arrays in place of its tensors; reads every storage once.

    Args:
        tree: Result of `unpickler.load`.
        read: Function from a `Storage` to its elements, a flat array.
    """
    storages, copies, sizes = {}, {}, []

    def visit(node):
        if isinstance(node, StoredTensor):
            if node.storage not in storages:
                storages[node.storage] = read(node.storage)
            view = _view(storages[node.storage], node)
            sizes.append(view.size)
            return view
        if not isinstance(node, dict | list | tuple):
            return node
        # A pickle may contain a value several times, and even inside itself.
        if id(node) not in copies:
            copies[id(node)] = copy = {} if isinstance(node, dict) else []
            if isinstance(node, dict):
                copy.update((key, visit(value)) for key, value in node.items())
            else:
                copy.extend(map(visit, node))
            if isinstance(node, tuple):
                copies[id(node)] = tuple(copy)
        return copies[id(node)]

    try:
        tree = visit(tree)
    except RecursionError:
        raise DamagedFileError("the data are nested too deeply") from None
    if sum(sizes) > _MAX_SHARING * (sum(map(len, storages.values())) + 100):
        raise DamagedFileError("too many tensors share the same elements")
    return tree


def _view(elements, tensor):
    """Returns a tensor as a view into the elements of its storage."""
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, elements.dtype)
    steps = [(n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True)]
    last = tensor.offset + sum(steps)
    if last >= len(elements):
        raise DamagedFileError(
            f"a tensor reaches element {last} of a storage of {len(elements)} elements"
        )
    # Strides of 0 would turn a few bytes into a tensor of any size.
    if math.prod(tensor.shape) > len(elements):
        raise DamagedFileError(
            f"a tensor with more elements than its storage of {len(elements)}"
        )
    strides = [stride * elements.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        elements[tensor.offset :], tensor.shape, strides, writeable=False
    )
