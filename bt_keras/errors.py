"""The library's exceptions, and how other exceptions become one line."""

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


def one_line(text):
    """Returns str, what an error says in one line that any terminal can print.

    Args:
        text: str or exception.
    """
    line = " ".join(str(text).split()) or type(text).__name__
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
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
