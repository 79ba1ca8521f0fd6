"""The exceptions of this library, and one-line messages for other exceptions."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence

# Exceptions that reading a damaged or hostile file can raise.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,  # From NumPy, for the header of an array.
)
_LONGEST = 200
_LONGEST_NAME = 80


def one_line(error: object, longest: int | None = _LONGEST) -> str:
    """Formats an error message as one line that any terminal can print.

    Args:
        error: Exception or string.
        longest: Optional integer, the number of characters after which the line is
            cut. Defaults to `200`; `None` never cuts it.

    Returns:
        String without line breaks; the name of the class if the message is empty.
    """
    line = " ".join(str(error).split()) or type(error).__name__
    if longest and len(line) > longest:
        line = f"{line[:longest]}..."
    return "".join(c if c.isprintable() else "?" for c in line)


def shown(name: object) -> str:
    """Returns a name from a file for a message, in quotes and shortened."""
    return repr(name[:_LONGEST_NAME] if isinstance(name, str) else name)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Lists names in quotes for a message, separated by commas.

    Args:
        names: Sequence of strings.
        most: Integer, how many of them are shown. Defaults to `8`.

    Example:

    >>> from bt_keras.errors import listed
    >>> listed(["cat", "dog", "horse"], most=2)
    "'cat', 'dog' and 1 more"
    """
    more = len(names) - most
    text = ", ".join(map(shown, names[:most]))
    return f"{text} and {more} more" if more > 0 else text


class UsageError(ValueError):
    """Invalid input. The message says what is wrong, where, and how to fix it.

    The commands print the message as one line and exit with status 2. It is a
    `ValueError`, the exception that Keras raises for invalid arguments.

    Args:
        message: String, or the exception that was raised. It becomes one line that any
            terminal can print.

    Example:

    >>> try:
    ...     bt_keras.views(0)
    ... except bt_keras.UsageError as error:
    ...     print(type(error).__name__)
    UsageError
    """

    # Keras appends the arguments of the call to the messages of all errors that a layer
    # raises, unless they have this attribute (Keras 3.8 to 3.15).
    _keras_call_info_injected = True

    def __init__(self, message: object):
        # Names from files may hold line breaks, and characters that cannot be printed.
        super().__init__(one_line(message, None))


class StoppedError(Exception):
    """A run stopped early and can be resumed. The message says why and how.

    The commands print the message as one line and exit with status 75.

    Example:

    >>> issubclass(bt_keras.StoppedError, Exception)
    True
    """
