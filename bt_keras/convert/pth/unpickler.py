"""Reads the pickles in PyTorch's files without executing them.

A pickle is a program for a stack machine, and Python's own machine calls whatever the
program refers to. The machine in this module implements only the opcodes that plain
data need and four constructors, which return plain dicts, tuples and `StoredTensor`s.
Any other global name is rejected as soon as it is read.

A small pickle must not use much memory or time either. It can describe a huge value by
sharing (a list of 60 lists, each of which contains the previous one twice), so that
this module checks a value's type before it compares, hashes, copies or prints it.
"""

from __future__ import annotations

import pickletools
from typing import BinaryIO

from bt_keras.convert.pth.allowed_globals import (
    CONSTRUCTORS,
    DTYPES,
    MAX_INT_BITS,
    DamagedFileError,
    ForbiddenGlobalError,
    Name,
    Storage,
    expect_dict_key,
    expect_type,
    resolve,
)
from bt_keras.errors import one_line

_MAX_OPCODES = 1_000_000
_MAX_BYTES = 2**26  # Of one pickle, without the elements of tensors.
_MAX_ARGUMENTS = 10  # Of a constructor.
_MARK = object()


def load(file: BinaryIO, storages: dict | None = None):
    """Reads one pickle.

    Args:
        file: Binary file, positioned at the start of the pickle. Afterwards it is
            positioned behind the pickle.
        storages: Optional dict that receives every `Storage` under its key. Defaults
            to `None`.

    Returns:
        Nested dicts, lists and tuples of str, bytes, numbers, `None` and
        `StoredTensor`s.

    Raises:
        ForbiddenGlobalError: If the pickle refers to anything that is not plain data.
        UnsupportedTensorError: If it refers to an unsupported kind of tensor.
        DamagedFileError: If it is truncated or malformed.
    """
    machine = _Machine({} if storages is None else storages)
    try:
        for number, (opcode, argument, _) in enumerate(_opcodes(file)):
            if number >= _MAX_OPCODES:
                raise ValueError(f"more than {_MAX_OPCODES} opcodes")
            machine.run(opcode.name, argument)
        return machine.pop()
    except (ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
        raise DamagedFileError(f"malformed pickle: {one_line(error)}") from error


def _opcodes(file):
    return pickletools.genops(_Limited(file))


class _Limited:
    """A file of which only `_MAX_BYTES` can be read.

    A text takes up to four times its size in the file.
    """

    def __init__(self, file):
        self._file = file
        self._left = _MAX_BYTES

    def read(self, size):
        if size > self._left:
            raise ValueError(f"more than {_MAX_BYTES:,} bytes")
        self._left -= size
        return self._file.read(size)

    def readline(self):
        line = self._file.readline(self._left)
        self._left -= len(line)
        return line


class _Machine:
    """A stack machine with a memo, restricted to plain data."""

    def __init__(self, storages):
        self._storages = storages
        self._stack = []
        self._memo = {}

    def pop(self):
        """Removes and returns the top value of the stack."""
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value is expected")
        return value

    def run(self, opcode, argument):
        """Executes one opcode."""
        if opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _VALUES:
            if isinstance(argument, int) and argument.bit_length() > MAX_INT_BITS:
                raise ValueError(f"an int of {argument.bit_length()} bits")
            self._stack.append(argument)
        elif opcode in _EMPTY_CONTAINERS:
            self._stack.append(_EMPTY_CONTAINERS[opcode]())
        elif opcode in _TUPLES:
            count = _TUPLES[opcode]
            self._stack.append(tuple([self.pop() for _ in range(count)][::-1]))
        elif opcode in _METHODS:
            _METHODS[opcode](self, argument)
        else:
            # INST, OBJ, NEWOBJ, EXT1, ...: each creates an instance of a class.
            raise ForbiddenGlobalError(f"the opcode {opcode}")

    def _pop_to_mark(self):
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _mark(self, _):
        self._stack.append(_MARK)

    def _pass(self, _):
        pass

    def _put(self, index):
        self._memo[index] = self._stack[-1]

    def _memoize(self, _):
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index):
        self._stack.append(self._memo[index])

    def _tuple(self, _):
        self._stack.append(tuple(self._pop_to_mark()))

    def _append(self, _):
        item = self.pop()
        expect_type(list, self._stack[-1]).append(item)

    def _appends(self, _):
        items = self._pop_to_mark()
        expect_type(list, self._stack[-1]).extend(items)

    def _set_item(self, _):
        value, key = self.pop(), self.pop()
        expect_type(dict, self._stack[-1])[expect_dict_key(key)] = value

    def _set_items(self, _):
        items = self._pop_to_mark()
        pairs = zip(map(expect_dict_key, items[::2]), items[1::2], strict=True)
        expect_type(dict, self._stack[-1]).update(pairs)

    def _global(self, argument):
        self._push_global(*argument.split(" ", 1))

    def _stack_global(self, _):
        name, module = self.pop(), self.pop()
        self._push_global(expect_type(str, module), expect_type(str, name))

    def _push_global(self, module, name):
        self._stack.append(resolve(f"{module}.{name}"))

    def _reduce(self, _):
        arguments, name = self.pop(), self.pop()
        expect_type(tuple, arguments)
        expect_type(Name, name)
        if name not in CONSTRUCTORS or len(arguments) > _MAX_ARGUMENTS:
            raise TypeError(f"{name} called with {len(arguments)} arguments")
        self._stack.append(CONSTRUCTORS[name](*arguments))

    def _build(self, _):
        # The `_metadata` of a state dict: the versions of its modules.
        self.pop()

    def _persistent_id(self, _):
        # ("storage", storage class, key, device, number of elements[, view])
        fields = expect_type(tuple, self.pop())
        kind, dtype, key, _, count, view = fields[:6] + (None,) * (6 - len(fields))
        if expect_type(str, kind) != "storage" or view is not None or len(fields) > 6:
            raise ValueError("a persistent id that is not a storage")
        if expect_type(Name, dtype) not in DTYPES:
            raise TypeError(f"{dtype} is not a storage class")
        storage = Storage(expect_type(str, key), DTYPES[dtype], expect_type(int, count))
        if self._storages.setdefault(key, storage) != storage:
            raise ValueError("two different storages with the same key")
        self._stack.append(storage)


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
_EMPTY_CONTAINERS = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_METHODS = {
    "MARK": _Machine._mark,
    "PROTO": _Machine._pass,
    "FRAME": _Machine._pass,
    "STOP": _Machine._pass,
    "PUT": _Machine._put,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._memoize,
    "GET": _Machine._get,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "TUPLE": _Machine._tuple,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent_id,
}
