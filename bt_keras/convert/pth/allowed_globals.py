"""The types in a `.pth` file's pickle, and the only Python names it may refer to."""

from __future__ import annotations

import re
from typing import NamedTuple

from bt_keras.errors import one_line

# NumPy's data type for each of PyTorch's storage classes. NumPy has no bfloat16: the
# reader converts it.
DTYPES = {
    "torch.BFloat16Storage": "bfloat16",
    "torch.BoolStorage": "?",
    "torch.ByteStorage": "u1",
    "torch.CharStorage": "i1",
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.IntStorage": "i4",
    "torch.LongStorage": "i8",
    "torch.ShortStorage": "i2",
}
# The official code's filter for rank-1 parameters, which its optimizer's parameter
# groups refer to. It is never imported: True replaces it, as in current checkpoints.
CONSTANTS = {
    "__main__.exclude_bias_and_norm": True,
    "__mp_main__.exclude_bias_and_norm": True,
}
MAX_INT_BITS = 1000  # Seeds and states of random generators have fewer.
_MAX_AXES = 64  # NumPy's and PyTorch's limit.
_MAX_INT_KEY = 2**60  # Larger ints can have equal hashes, which makes dicts slow.


class ForbiddenGlobalError(Exception):
    """A pickle refers to something that is not plain data; the message names it."""


class UnsupportedTensorError(Exception):
    """A pickle refers to an unsupported kind of tensor; the message names it."""


class DamagedFileError(Exception):
    """A file is truncated, damaged or malformed; the message says how."""


class Name(str):
    """Dotted name of a constructor or storage class, as opposed to a str value."""

    __slots__ = ()


class Storage(NamedTuple):
    """A flat array that is stored outside the pickle.

    Args:
        key: str, name of the storage in the file.
        dtype: str, a value of `DTYPES`.
        count: int, number of elements.
    """

    key: str
    dtype: str
    count: int  # type: ignore[assignment]  # Hides `tuple.count`.


class StoredTensor(NamedTuple):
    """A tensor as a view into a storage.

    Args:
        storage: `Storage`.
        offset: int >= 0, index of the first element.
        shape: tuple of ints >= 0.
        strides: tuple of ints >= 0, in elements.
    """

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


def expect_type(kind: type, value):
    """Returns the value; raises `TypeError` unless its type is exactly `kind`."""
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}")
    return value


def expect_dict_key(value):
    """Returns the value; raises unless it is a dict key with a fast hash."""
    # Hashing a tuple visits everything in it, however deeply it is nested.
    if type(value) not in (str, int, float, bool, type(None)):
        raise TypeError(f"a dict key of type {type(value).__name__}")
    if type(value) is int and abs(value) > _MAX_INT_KEY:
        raise ValueError("an int dict key that is too large")
    return value


def _ordered_dict():
    return {}


def _size(shape):
    return expect_type(tuple, shape)


def _parameter(tensor, *_):
    return expect_type(StoredTensor, tensor)


def _tensor(storage, offset, shape, strides, *_):
    axes = len(expect_type(tuple, shape))
    if axes != len(expect_type(tuple, strides)):
        raise ValueError("a tensor with different numbers of axes and strides")
    if axes > _MAX_AXES:
        raise ValueError(f"a tensor with more than {_MAX_AXES} axes")
    if any(expect_type(int, n) < 0 for n in (offset, *shape, *strides)):
        raise ValueError("a tensor with a negative offset, shape or stride")
    return StoredTensor(expect_type(Storage, storage), offset, shape, strides)


# Each returns plain data instead of a PyTorch object.
CONSTRUCTORS = {
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _size,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor_v2": _tensor,
}
_ANY_STORAGE = re.compile(r"torch(\.storage)?\.\w*Storage")


def resolve(dotted: str) -> Name | bool:
    """Resolves a global name of a pickle without importing it.

    Args:
        dotted: str, such as `"collections.OrderedDict"`.

    Returns:
        `Name`, a key of `CONSTRUCTORS` or `DTYPES`, or a value of `CONSTANTS`.

    Raises:
        UnsupportedTensorError: If it is a kind of tensor other than a plain one.
        ForbiddenGlobalError: If it is anything else.
    """
    if dotted in CONSTANTS:
        return CONSTANTS[dotted]
    if dotted in CONSTRUCTORS or dotted in DTYPES:
        return Name(dotted)
    if dotted.startswith("torch._utils.") or _ANY_STORAGE.fullmatch(dotted):
        raise UnsupportedTensorError(one_line(dotted))
    raise ForbiddenGlobalError(one_line(dotted))
