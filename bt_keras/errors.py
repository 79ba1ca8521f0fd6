"""The library's exceptions, and how other exceptions become one line."""

from __future__ import annotations

import zipfile
import zlib

# All that reading a file that is not whole, or not meant to be, can end in.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
_LONGEST = 200
_LONGEST_NAME = 80


def one_line(error: object, longest: int | None = _LONGEST) -> str:
    """Format an error message as one line that any terminal can print.

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


def shown(name):
    """Returns str, the beginning of a file's name for something, in quotes."""
    return repr(name[:_LONGEST_NAME] if isinstance(name, str) else name)


class UsageError(ValueError):
    """Bad input, with a message that says what is wrong, where, and what to do.

    The commands print the message as one line and exit with status 2. Python code
    can catch it as a `ValueError`, which is what Keras raises for bad arguments.
    """


class StoppedError(Exception):
    """A run ended early and can be gone on with; the message says why and how.

    The commands print the message as one line and exit with status 75.
    """
