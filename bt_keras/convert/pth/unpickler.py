"""The pickles inside PyTorch's files, read without running them.

A pickle is a program for a small stack machine, and Python's own machine calls
whatever the program names. This one knows the opcodes that data need, and four
constructors, which it does not call either: it makes plain dicts, lists and tuples,
and `StoredTensor`s. Everything else that a program names is refused, before anything
else is done.

Nor may a program ask for more than its length allows: parts of a pickle can stand for
many others (a list of 60 lists, each twice the one before), so nothing here compares,
hashes, copies or prints a value before its type is known.
"""

import pickletools

from bt_keras.convert.pth.allowed_globals import (
    CONSTRUCTORS,
    DTYPES,
    MOST_BITS,
    CodeError,
    DamageError,
    Name,
    Storage,
    a,
    key_of_dict,
    named,
)
from bt_keras.errors import one_line

_MOST_OPCODES = 5_000_000
_MOST_ARGUMENTS = 10  # Of a constructor.
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
        KindError: if it names a kind of tensor that is not read.
        DamageError: if it is no whole pickle.
    """
    machine = _Machine({} if storages is None else storages)
    try:
        for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if number >= _MOST_OPCODES:
                raise ValueError(f"more than {_MOST_OPCODES} steps")
            machine.run(opcode.name, argument)
        return machine.pop()
    except (ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
        raise DamageError(f"its pickle is not whole: {one_line(error)}") from error


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
            if isinstance(argument, int) and argument.bit_length() > MOST_BITS:
                raise ValueError(f"an int of {argument.bit_length()} bits")
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
        a(list, self._stack[-1]).append(item)

    def _appends(self, _):
        items = self._to_mark()
        a(list, self._stack[-1]).extend(items)

    def _set_item(self, _):
        value, key = self.pop(), self.pop()
        a(dict, self._stack[-1])[key_of_dict(key)] = value

    def _set_items(self, _):
        items = self._to_mark()
        pairs = zip(map(key_of_dict, items[::2]), items[1::2], strict=True)
        a(dict, self._stack[-1]).update(pairs)

    def _global(self, argument):
        self._name(*argument.split(" ", 1))

    def _stack_global(self, _):
        name, module = self.pop(), self.pop()
        self._name(a(str, module), a(str, name))

    def _name(self, module, name):
        self._stack.append(named(f"{module}.{name}"))

    def _reduce(self, _):
        arguments, name = a(tuple, self.pop()), a(Name, self.pop())
        if name not in CONSTRUCTORS or len(arguments) > _MOST_ARGUMENTS:
            raise TypeError(f"{name} is called with {len(arguments)} arguments")
        self._stack.append(CONSTRUCTORS[name](*arguments))

    def _build(self, _):
        # The `_metadata` of a state dict: versions of its modules.
        self.pop()

    def _persistent(self, _):
        place = a(tuple, self.pop())
        kind, dtype, key, _, count, view = (*place[:6], *(None,) * (6 - len(place)))
        if a(str, kind) != "storage" or view is not None or len(place) > 6:
            raise ValueError("a part outside it that is not a row of numbers")
        if a(Name, dtype) not in DTYPES:
            raise TypeError(f"{dtype} is no row of numbers")
        storage = Storage(a(str, key), DTYPES[dtype], a(int, count))
        if self._storages.setdefault(key, storage) != storage:
            raise ValueError("a storage of two kinds")
        self._stack.append(storage)


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
