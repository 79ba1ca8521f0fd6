"""What files say, in one short line: they may be anybody's."""

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
