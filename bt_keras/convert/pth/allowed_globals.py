"""What the pickles inside PyTorch's files are made of, and the little they may name."""

import re
from typing import NamedTuple

from bt_keras.errors import one_line

# Data types by the name that PyTorch's storages have. bfloat16 is read as its 16 bits.
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
# The official code's function for "rank 1", which its optimizer's groups name. It is
# never looked for: True stands for it, as in checkpoints of the code today.
CONSTANTS = {
    "__main__.exclude_bias_and_norm": True,
    "__mp_main__.exclude_bias_and_norm": True,
}
MOST_BITS = 1000  # Of an int; the seeds and states of generators have fewer.
_MOST_AXES = 64  # As in NumPy and PyTorch.
_LARGEST_KEY = 2**60  # Larger ints share hashes, and dicts of those take ages.


class CodeError(Exception):
    """A pickle names something that data do not need; the message is its name."""


class KindError(Exception):
    """A pickle names a kind of tensor that is not read; the message is its name."""


class DamageError(Exception):
    """A file is not what it should be; the message says why."""


class Name(str):
    """The dotted name of a constructor or data type, unlike a str of the data."""

    __slots__ = ()


class Storage(NamedTuple):
    """A named row of numbers, to be found outside the pickle."""

    key: str
    dtype: str
    count: int


class StoredTensor(NamedTuple):
    """A tensor as its place in a storage, counted in elements."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


def a(kind, value):
    """Returns the value, or raises TypeError if it is not exactly of this type."""
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {kind.__name__} should be")
    return value


def key_of_dict(value):
    """Returns the value, or raises if it is none that is hashed in no time."""
    # To hash a tuple is to walk through all that it holds.
    if type(value) not in (str, int, float, bool, type(None)):
        raise TypeError(f"a {type(value).__name__} as the key of a dict")
    if type(value) is int and abs(value) > _LARGEST_KEY:
        raise ValueError("too large an int as the key of a dict")
    return value


def _ordered_dict():
    return {}


def _size(numbers):
    return a(tuple, numbers)


def _parameter(tensor, *_):
    return a(StoredTensor, tensor)


def _tensor(storage, offset, shape, strides, *_):
    axes = len(a(tuple, shape))
    if axes != len(a(tuple, strides)) or axes > _MOST_AXES:
        raise ValueError("a tensor with other strides than axes, or too many")
    if any(a(int, number) < 0 for number in (offset, *shape, *strides)):
        raise ValueError("a tensor at a place that is no place")
    return StoredTensor(a(Storage, storage), offset, shape, strides)


# Each makes plain data of its arguments.
CONSTRUCTORS = {
    "collections.OrderedDict": _ordered_dict,
    "torch.Size": _size,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor_v2": _tensor,
}
_ANY_STORAGE = re.compile(r"torch(\.storage)?\.\w*Storage")


def named(dotted):
    """Returns what a dotted name stands for, which is never looked up in Python.

    Args:
        dotted: str, such as "collections.OrderedDict".

    Returns:
        `Name`, or a constant.

    Raises:
        CodeError, KindError: if no plain tensor needs it.
    """
    if dotted in CONSTANTS:
        return CONSTANTS[dotted]
    if dotted in CONSTRUCTORS or dotted in DTYPES:
        return Name(dotted)
    if dotted.startswith("torch._utils.") or _ANY_STORAGE.fullmatch(dotted):
        raise KindError(one_line(dotted))
    raise CodeError(one_line(dotted))
