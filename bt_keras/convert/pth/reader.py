"""PyTorch's files read with NumPy: the zip archives of today and the older streams.

A zip archive has a folder with `data.pkl` (everything but the numbers), `data/KEY`
(the numbers, a file a storage) and perhaps `byteorder`. A stream is five pickles (a
magic number, a version, facts of the system, the data, the keys of the storages) and
then for every key the number of elements, an int64, and the elements.
"""

import io
import math
import os
import struct
import zipfile

import numpy as np

from bt_keras.convert.pth import unpickler
from bt_keras.convert.pth.allowed_globals import (
    CodeError,
    DamageError,
    KindError,
    StoredTensor,
)
from bt_keras.errors import DAMAGE, UsageError, one_line, shown

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_STREAM_MAGIC = 0x1950A86A20F9469CFC6C
_STREAM_VERSION = 1001
# What torchvision's files before 2021 are: a tar archive, which says so at this place.
_TAR, _TAR_PLACE = b"ustar", 257
_MOST_SHARED = 10  # So often may a number be in tensors: weights are tied.
_DAMAGE = (DamageError, struct.error, AttributeError, *DAMAGE)


def load(path):
    """Reads what `torch.save` wrote, and runs nothing of it.

    Args:
        path: path of a `.pth` file.

    Returns:
        dicts, lists, tuples, str, numbers, None and NumPy arrays for tensors. Arrays
        of one storage share memory, and cannot be written to; bfloat16 is read as
        float32, which holds it exactly.

    Raises:
        UsageError: if the file cannot be read, is truncated, is no PyTorch file, or
            asks for code.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_TAR_PLACE + len(_TAR))
            file.seek(0)
            if start.startswith(_ZIP):
                with zipfile.ZipFile(file) as archive:
                    return _load_archive(archive, os.fstat(file.fileno()).st_size)
            if start.startswith(_PICKLE):
                return _load_stream(file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None
    except CodeError as error:
        raise UsageError(
            f"{path} is refused, and nothing of it was run: its pickle asks for "
            f"{error}, which no file of plain tensors needs. Take a file of a "
            "state_dict alone."
        ) from None
    except KindError as error:
        raise UsageError(
            f"{path} holds a data type or kind of tensor that is not supported "
            f"({error}): save plain tensors of float32."
        ) from None
    except _DAMAGE as error:
        raise UsageError(
            f"{path} is truncated or damaged ({one_line(error)}): copy or download it "
            "again."
        ) from None
    raise UsageError(f"{path} {_other_kind(start)}")


def _other_kind(start):
    if start[_TAR_PLACE:] == _TAR:
        return (
            "is of PyTorch's oldest format (tar), as torchvision's files before 2021: "
            "download today's, or load it with torch and save it again."
        )
    what = "is not a PyTorch file" if start else "is empty"
    return f"{what}: give one that torch.save wrote."


def _load_archive(archive, size):
    stored = [i for i in archive.infolist() if i.compress_type == zipfile.ZIP_STORED]
    if sum(info.file_size for info in stored) > size:
        raise DamageError("its members are larger than the file")
    roots = [
        name.removesuffix("data.pkl")
        for name in archive.namelist()
        if name.endswith("/data.pkl") and name.count("/") == 1
    ]
    if len(roots) != 1:
        raise DamageError("a zip archive without the data.pkl of torch.save")
    root = roots[0]
    order = "<"
    if f"{root}byteorder" in archive.namelist():
        order = ">" if _member(archive, f"{root}byteorder") == b"big" else "<"
    tree = unpickler.load(io.BytesIO(_member(archive, f"{root}data.pkl")))

    def read(storage):
        content = _member(archive, f"{root}data/{storage.key}")
        return _numbers(content, storage, order)

    return _resolved(tree, read)


def _member(archive, name):
    # Compressed members could grow without bounds, and PyTorch writes none.
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise DamageError(f"{shown(name)} is compressed")
    return archive.read(name)


def _load_stream(file):
    magic = unpickler.load(file)
    if type(magic) is not int or magic != _STREAM_MAGIC:
        raise DamageError("a pickle, but not of torch.save")
    version = unpickler.load(file)
    if type(version) is not int or version != _STREAM_VERSION:
        version = version if type(version) is int else type(version).__name__
        raise DamageError(f"a stream of version {version}, not {_STREAM_VERSION}")
    unpickler.load(file)  # The system's facts; numbers are always little-endian.
    storages = {}
    tree = unpickler.load(file, storages)
    keys = unpickler.load(file)
    whole = type(keys) is list and all(type(key) is str for key in keys)
    if not whole or sorted(keys) != sorted(storages):
        raise DamageError("its list of storages is not that of its tensors")
    found = {key: _stream_storage(file, storages[key]) for key in keys}
    return _resolved(tree, lambda storage: found[storage.key])


def _stream_storage(file, storage):
    header = file.read(8)
    if len(header) < 8 or int.from_bytes(header, "little") != storage.count:
        raise DamageError(f"storage {shown(storage.key)} is missing or of another size")
    left = os.fstat(file.fileno()).st_size - file.tell()
    content = file.read(min(storage.count * _item_size(storage), left))
    return _numbers(content, storage, "<")


def _item_size(storage):
    return 2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize


def _numbers(content, storage, order):
    size = storage.count * _item_size(storage)
    if storage.count < 0 or len(content) < size:
        raise DamageError(
            f"storage {shown(storage.key)} has {len(content)} bytes of {size}"
        )
    if not storage.count:
        return np.zeros(0, np.float32 if storage.dtype == "bfloat16" else storage.dtype)
    if storage.dtype == "bfloat16":  # The upper half of a float32.
        bits = np.frombuffer(content, f"{order}u2", storage.count).astype(np.uint32)
        numbers = (bits << 16).view(np.float32)
        numbers.flags.writeable = False
        return numbers
    return np.frombuffer(content, np.dtype(order + storage.dtype), storage.count)


def _resolved(tree, read):
    """A copy of a tree with arrays for its tensors, every storage read once.

    Args:
        tree: what `pth_pickle.load` returned.
        read: function from a `Storage` to its numbers.
    """
    storages, seen, elements = {}, {}, []

    def visit(node):
        if isinstance(node, StoredTensor):
            if node.storage not in storages:
                storages[node.storage] = read(node.storage)
            view = _view(storages[node.storage], node)
            elements.append(view.size)
            return view
        if not isinstance(node, dict | list | tuple):
            return node
        # Pickles may hold a part at many places, and inside itself.
        if id(node) not in seen:
            seen[id(node)] = copy = {} if isinstance(node, dict) else []
            if isinstance(node, dict):
                copy.update((key, visit(value)) for key, value in node.items())
            else:
                copy.extend(map(visit, node))
            if isinstance(node, tuple):
                seen[id(node)] = tuple(copy)
        return seen[id(node)]

    try:
        tree = visit(tree)
    except RecursionError:
        raise DamageError("it is nested too deeply") from None
    if sum(elements) > _MOST_SHARED * (sum(map(len, storages.values())) + 100):
        raise DamageError("its tensors are the same few numbers over and over")
    return tree


def _view(numbers, tensor):
    """A tensor's array inside its storage."""
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, numbers.dtype)
    steps = [(n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True)]
    last = tensor.offset + sum(steps)
    if last >= len(numbers):
        raise DamageError(
            f"a tensor reaches to element {last} of the {len(numbers)} of its storage"
        )
    # Strides of 0 would make any size of a few bytes.
    if math.prod(tensor.shape) > len(numbers):
        raise DamageError(
            f"a tensor of more elements than the {len(numbers)} of its storage"
        )
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, strides, writeable=False
    )
