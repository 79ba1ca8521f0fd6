"""Writes PyTorch's zip files with NumPy, for `torch.load(weights_only=True)`.

The pickle consists of a few opcodes of protocol 2.
"""

from __future__ import annotations

import struct
import zipfile
from typing import BinaryIO

import numpy as np

from bt_keras.convert.pth.allowed_globals import MAX_INT_BITS
from bt_keras.errors import UsageError

_ROOT = "archive/"
_ALIGNMENT = 64  # Bytes, as in PyTorch, so that the file can be memory-mapped.
_LOCAL_HEADER = 30  # Bytes of a zip member's header before its name.
# PyTorch's storage class for each NumPy data type.
_STORAGES = {
    "bool": "BoolStorage",
    "float16": "HalfStorage",
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "int16": "ShortStorage",
    "int32": "IntStorage",
    "int64": "LongStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
}


def save(file: BinaryIO, tree) -> None:
    """Writes a tree of arrays as `torch.save` writes a tree of tensors.

    Args:
        file: Binary file, empty and open for writing.
        tree: Nested dicts, lists and tuples of NumPy arrays, str, ints, floats, bools
            and `None`.

    Raises:
        UsageError: If the tree contains anything else.
    """
    arrays: list[np.ndarray] = []
    program = b"\x80\x02" + b"".join(_pickled(tree, arrays)) + b"."
    with zipfile.ZipFile(file, "w") as archive:
        _add(archive, "data.pkl", program)
        _add(archive, "byteorder", b"little")
        for key, array in enumerate(arrays):
            dtype = array.dtype.newbyteorder("<")
            _add(archive, f"data/{key}", array.astype(dtype, copy=False).tobytes())
        _add(archive, "version", b"3\n")


def _add(archive, name, content):
    member = zipfile.ZipInfo(_ROOT + name)
    # An extra field of zeros aligns the content. For members of more than 2 GiB, Python
    # adds a field of its own that may shift the content; reading is then only slower.
    start = archive.fp.tell() + _LOCAL_HEADER + len(member.filename) + 4
    padding = -start % _ALIGNMENT
    member.extra = b"FB" + struct.pack("<H", padding) + bytes(padding)
    archive.writestr(member, content)


def _pickled(value, arrays):
    """Yields the opcodes that push a value; appends its arrays to `arrays`."""
    if value is None or isinstance(value, bool):
        yield {None: b"N", True: b"\x88", False: b"\x89"}[value]
    elif isinstance(value, int):
        yield _int(value)
    elif isinstance(value, float):
        yield b"G" + struct.pack(">d", value)
    elif isinstance(value, str):
        yield _str(value)
    elif isinstance(value, np.ndarray):
        yield from _tensor(value, arrays)
    elif isinstance(value, dict):
        yield b"}("
        for key, item in value.items():
            yield from _pickled(key, arrays)
            yield from _pickled(item, arrays)
        yield b"u"
    elif isinstance(value, list | tuple):
        yield b"](" if isinstance(value, list) else b"("
        for item in value:
            yield from _pickled(item, arrays)
        yield b"e" if isinstance(value, list) else b"t"
    else:
        raise UsageError(
            f"a .pth file cannot hold a {type(value).__name__}: pass arrays, numbers "
            "and str, in dicts, lists and tuples."
        )


def _tensor(array, arrays):
    dtype = array.dtype.name
    if dtype not in _STORAGES:
        raise UsageError(
            f"a .pth file cannot hold an array of {dtype}: convert it to float32."
        )
    strides = np.cumprod((1, *array.shape[:0:-1]))[::-1] if array.ndim else ()
    storage = (
        *(_str("storage"), _global("torch", _STORAGES[dtype])),
        *(_str(str(len(arrays))), _str("cpu"), _int(array.size)),
    )
    yield _global("torch._utils", "_rebuild_tensor_v2") + b"("
    yield b"(" + b"".join(storage) + b"tQ"
    yield _int(0)  # The offset.
    for sizes in (array.shape, strides):
        yield b"(" + b"".join(_int(int(n)) for n in sizes) + b"t"
    # requires_grad=False and no hooks.
    yield b"\x89" + _global("collections", "OrderedDict") + b")RtR"
    arrays.append(array)


def _global(module, name):
    return f"c{module}\n{name}\n".encode()


def _str(text):
    content = text.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def _int(number):
    if -(2**31) <= number < 2**31:
        return b"J" + struct.pack("<i", number)
    size = number.bit_length() // 8 + 1
    if number.bit_length() > MAX_INT_BITS:
        raise UsageError(f"a .pth file cannot hold an int of {size} bytes.")
    return b"\x8a" + bytes([size]) + number.to_bytes(size, "little", signed=True)
