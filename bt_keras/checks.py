"""Checks of arguments and config values: numbers of a type and a range, choices.

Nothing here imports TensorFlow, so that a config can be checked before it starts.
"""

from __future__ import annotations

import dataclasses
import inspect
import numbers
from collections.abc import Sequence
from typing import Any

from bt_keras.errors import UsageError, one_line

# Numbers end up as float32 or int32; outside these limits they would become infinite,
# 0, or negative there.
FLOAT32_MAX = 3.4028234663852886e38
FLOAT32_TINY = 1.1754943508222875e-38
INT32_MAX = 2**31 - 1
_LONGEST = 80
_MOST_PARTS = 8


@dataclasses.dataclass(frozen=True)
class Number:
    """A kind of number: its type and its range.

    Booleans, NaN and infinities are not accepted; NumPy's scalars are.

    Args:
        low: Float, the lowest value, or `None` for that of float32. Defaults to `None`.
        high: Float, the highest value, or `None` for that of float32 or int32. Defaults
            to `None`.
        above: Boolean, whether `low` itself is excluded. Defaults to `False`.
        below: Boolean, whether `high` itself is excluded. Defaults to `False`.
        integer: Boolean, whether only integers are accepted. Defaults to `False`.

    Example:

    >>> from bt_keras.checks import Number
    >>> kind = Number(0, 1, below=True)
    >>> str(kind), kind.accepts(0.5), kind.accepts("0.5"), kind.accepts(float("nan"))
    ('a number in [0, 1)', True, False, False)
    """

    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False
    integer: bool = False

    def accepts(self, value: Any) -> bool:
        """Returns whether a value, of any type, is such a number."""
        kind = numbers.Integral if self.integer else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            return False
        try:  # float16 cannot be compared with large numbers.
            value = self.convert(value)
        except OverflowError:  # A fraction beyond float64.
            return False
        largest = INT32_MAX if self.integer else FLOAT32_MAX
        low = -FLOAT32_MAX if self.low is None else self.low
        high = largest if self.high is None else self.high
        if self.above and low == 0:
            low_enough = value >= FLOAT32_TINY
        else:
            low_enough = value > low if self.above else value >= low
        return bool(low_enough and (value < high if self.below else value <= high))

    def convert(self, value: Any) -> Any:
        """Returns an accepted value as an int or a float of Python."""
        return int(value) if isinstance(value, numbers.Integral) else float(value)

    def __str__(self):
        if self.integer:
            end = "2**31)" if self.high is None else f"{self.high}]"
            return f"an integer in [{self.low}, {end}"
        if self.high is not None:
            start, end = "(" if self.above else "[", ")" if self.below else "]"
            return f"a number in {start}{self.low:g}, {self.high:g}{end}"
        if self.low is None:
            return "a finite number"
        return f"a finite number {'>' if self.above else '>='} {self.low:g}"


POSITIVE = Number(0, above=True)
NOT_NEGATIVE = Number(0)
FINITE = Number()
FRACTION = Number(0, 1)
BELOW_ONE = Number(0, 1, below=True)
AREA = Number(0, 1, above=True)  # A fraction of an image's area.
COUNT = Number(1, integer=True)
WHOLE = Number(0, integer=True)
SEED = Number(0, 2**32 - 1, integer=True)
BITS = Number(8, 16, integer=True)
CHANNELS = Number(1, 16, integer=True)

INT64 = Number(-(2**63), 2**63 - 1, integer=True)
STEP = Number(0, 2**63 - 1, integer=True)

# The numbers of `bt_keras.LARS` but the rates, and of `config.optimizer.options`.
LARS = {
    "momentum": BELOW_ONE,
    "weight_decay": NOT_NEGATIVE,
    "trust_coefficient": POSITIVE,
    "bias_rate_ratio": NOT_NEGATIVE,
}


def number(name: str, value: Any, kind: Number, advice: str = "") -> Any:
    """Checks an argument that is a number.

    Args:
        name: String, the argument's name for the message.
        value: The argument.
        kind: `Number`, what is accepted.
        advice: String, the end of the message. Defaults to `""`.

    Returns:
        The value, as an int or a float of Python.

    Raises:
        UsageError: If it is anything else.

    Example:

    >>> from bt_keras import checks
    >>> checks.number("momentum", np.float32(0.5), checks.BELOW_ONE)
    0.5
    """
    if not kind.accepts(value):
        raise UsageError(f"{name}={described(value)} must be {kind}{advice or '.'}")
    return kind.convert(value)


def interval(name: str, value: Any, kind: Number) -> tuple:
    """Checks an argument that is a range.

    Args:
        name: String, the argument's name for the message.
        value: The argument, a pair of numbers in ascending order.
        kind: `Number`, what both of them must be.

    Returns:
        Tuple of the two numbers.

    Raises:
        UsageError: If it is anything else.
    """
    is_pair = isinstance(value, (tuple, list)) and len(value) == 2
    if not is_pair or not all(map(kind.accepts, value)) or value[0] > value[1]:
        raise UsageError(
            f"{name}={described(value)} must be (low, high) with low <= high, each "
            f"{kind}."
        )
    return tuple(map(kind.convert, value))


def choice(name: str, value: Any, options: Sequence) -> Any:
    """Checks an argument that is one of several strings or ints.

    Args:
        name: String, the argument's name for the message.
        value: The argument.
        options: Sequence of strings or of ints.

    Returns:
        The option that equals the value.

    Raises:
        UsageError: If there is none.
    """
    for option in options:
        kind = numbers.Integral if isinstance(option, int) else type(option)
        if isinstance(value, kind) and value == option:
            return option
    raise UsageError(
        f"{name}={described(value)} is not one of {', '.join(map(str, options))}."
    )


def described(value: Any) -> str:
    """Describes a value of any type for a message, in one short line.

    Example:

    >>> from bt_keras import checks
    >>> [checks.described(value) for value in ("8", bt_keras.views, np.zeros(3))]
    ["'8'", 'the function views', '<ndarray>']
    """
    if value is None or isinstance(value, (bool, str, numbers.Number)):
        # numpy 2 writes np.float64(0.5).
        plain = getattr(value, "item", lambda: value)()
        return one_line(repr(plain), _LONGEST)
    simple = (bool, str, numbers.Number, type(None))
    if isinstance(value, (tuple, list)) and all(isinstance(v, simple) for v in value):
        if len(value) > _MOST_PARTS:
            return f"a {type(value).__name__} of {len(value)} values"
        parts = ", ".join(map(described, value))
        comma = "," if len(value) == 1 else ""
        return f"[{parts}]" if isinstance(value, list) else f"({parts}{comma})"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__name__', '?')}"
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    return f"<{type(value).__name__}>"
