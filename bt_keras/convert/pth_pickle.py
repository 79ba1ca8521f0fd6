"""The pickles inside PyTorch's files, read without running them.

A pickle is a program for a small stack machine, and Python's own machine calls
whatever the program names. This one knows the opcodes that data need, and four
constructors, which it does not call either: it makes plain dicts, lists and tuples,
and `StoredTensor`s. Everything else that a program names is refused, before anything
else is done.
"""

import pickletools
from typing import NamedTuple

# Constructors, each with a function from its arguments to plain data.
_CONSTRUCTORS = {
    "collections.OrderedDict": lambda items=(): dict(items),
    "torch.Size": lambda sizes=(): tuple(sizes),
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_tensor_v2": lambda *args: StoredTensor(*args[:4]),
}
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
_ALLOWED = {*_CONSTRUCTORS, *DTYPES}


class CodeError(Exception):
    """A pickle names something that data do not need; the message is its name."""


class DamageError(Exception):
    """A file is not what it should be; the message says why."""


class Name(str):
    """The dotted name of one of `_ALLOWED`, unlike a str of the data."""

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


_MARK = object()


def load(file, storages=None):
    """Reads one pickle.

    Args:
        file: binary file, at the pickle's beginning; it is left behind its end.
        storages: optional dict, to which every `Storage` is added by its key.

    Returns:
        dicts, lists, tuples, str, numbers, None and `StoredTensor`s.

    Raises:
        CodeError: if the pickle names anything but the parts of a tensor.
        DamageError: if it is no whole pickle.
    """
    machine = _Machine({} if storages is None else storages)
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.run(opcode.name, argument)
        return machine.pop()
    except (ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
        raise DamageError(f"its pickle is not whole: {_one_line(error)}") from error


class _Machine:
    """A stack and a memo."""

    def __init__(self, storages):
        self._storages = storages
        self._stack = []
        self._memo = {}

    def pop(self):
        """Takes what lies on top."""
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a mark is no value")
        return value

    def run(self, opcode, argument):
        """Does what one opcode says."""
        if opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode])
        elif opcode in _VALUES:
            self._stack.append(argument)
        elif opcode in _MAKERS:
            self._stack.append(_MAKERS[opcode]())
        elif opcode in _TUPLES:
            count = _TUPLES[opcode]
            self._stack.append(tuple([self.pop() for _ in range(count)][::-1]))
        elif opcode in _METHODS:
            _METHODS[opcode](self, argument)
        else:
            # INST, OBJ, NEWOBJ, EXT1, ...: each makes an object of a class.
            raise CodeError(f"the opcode {opcode}")

    def _to_mark(self):
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _mark(self, _):
        self._stack.append(_MARK)

    def _pass(self, _):
        pass

    def _put(self, place):
        self._memo[place] = self._stack[-1]

    def _memoize(self, _):
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, place):
        self._stack.append(self._memo[place])

    def _tuple(self, _):
        self._stack.append(tuple(self._to_mark()))

    def _append(self, _):
        item = self.pop()
        _a(list, self._stack[-1]).append(item)

    def _appends(self, _):
        items = self._to_mark()
        _a(list, self._stack[-1]).extend(items)

    def _set_item(self, _):
        value, key = self.pop(), self.pop()
        _a(dict, self._stack[-1])[key] = value

    def _set_items(self, _):
        items = self._to_mark()
        pairs = zip(items[::2], items[1::2], strict=True)
        _a(dict, self._stack[-1]).update(pairs)

    def _global(self, argument):
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _):
        name, module = self.pop(), self.pop()
        self._name(str(module), str(name))

    def _name(self, module, name):
        dotted = f"{module}.{name}"
        if dotted not in _ALLOWED:
            raise CodeError(" ".join(dotted.split()))
        self._stack.append(Name(dotted))

    def _reduce(self, _):
        arguments, name = _a(tuple, self.pop()), _a(Name, self.pop())
        self._stack.append(_CONSTRUCTORS[name](*arguments))

    def _build(self, _):
        # The `_metadata` of a state dict: versions of its modules.
        self.pop()

    def _persistent(self, _):
        kind, dtype, key, _, count, *view = _a(tuple, self.pop())
        if kind != "storage" or any(view):
            raise ValueError(f"it has a {kind!r}, not a row of numbers")
        dtype = DTYPES[_a(Name, dtype)]
        storage = Storage(_a(str, key), dtype, _a(int, count))
        if self._storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {key} is of two kinds")
        self._stack.append(storage)


def _a(kind, value):
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} where {kind.__name__} should be")
    return value


def _one_line(error):
    return " ".join(str(error).split()) or type(error).__name__


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
_MAKERS = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
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
    "BINPERSID": _Machine._persistent,
}
