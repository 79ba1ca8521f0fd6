"""Standard streams that may be closed, full, or lack characters."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from absl import logging

# What progress bars and tables print, for streams that lack these characters.
_SUBSTITUTES = str.maketrans({"━": "=", "±": "+-"})


class _Null(io.TextIOBase):
    """Takes the place of a closed stream."""

    def write(self, text: str) -> int:
        return len(text)


class TolerantStream:
    """A text stream that discards what it cannot write.

    After the first error of the system, such as a closed pipe or a full disk, the
    descriptor is redirected to the null device: child processes, TensorFlow and
    Python's own flush at the end of the process can write to it, too.

    Args:
        stream: Text stream, or `None`, Python's value if the stream was closed when the
            process started.

    Attributes:
        error: The first `OSError` of a write, or `None`.
    """

    def __init__(self, stream: TextIO | None):
        is_closed = stream is None or stream.closed
        self._stream: Any = _Null() if is_closed else stream
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._tolerated():
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                self._stream.write(_encodable(text, error.encoding))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with self._tolerated():
            self._stream.flush()

    @contextlib.contextmanager
    def _tolerated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            _redirect_to_null(self._stream)


@contextlib.contextmanager
def tolerant() -> Iterator[TolerantStream]:
    """Replaces `sys.stdout` and `sys.stderr` by tolerant streams; yields stdout."""
    _open_closed_descriptors()
    before = sys.stdout, sys.stderr
    stdout, stderr = map(TolerantStream, before)
    sys.stdout, sys.stderr = stdout, stderr  # type: ignore[assignment]
    handler = logging.get_absl_handler().python_handler
    logged_to, handler.stream = handler.stream, stderr
    try:
        yield stdout
    finally:
        handler.stream = logged_to
        sys.stdout, sys.stderr = before


def _open_closed_descriptors() -> None:
    """Opens the null device for a closed stdin, stdout or stderr.

    Otherwise the next file that is opened takes the number, and what a library prints
    is written into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The system assigns the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _redirect_to_null(stream: TextIO) -> None:
    with contextlib.suppress(OSError):  # A stream without a descriptor.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _encodable(text: str, encoding: str) -> str:
    text = text.translate(_SUBSTITUTES)
    return text.encode(encoding, "replace").decode(encoding)
