"""End a command on a signal, once: a second one does not interrupt the cleanup."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

from bt_keras.distribution import stop_request

# Schedulers and shells send several signals, and users press Ctrl-C twice. Later ones
# count again, in case the code that was interrupted held up the exception.
_REPEATED_SECONDS = 10.0


class SignaledError(BaseException):
    """A signal other than Ctrl-C's asks the command to end.

    Like `KeyboardInterrupt`, it is no `Exception`, which code may hold up.

    Args:
        number: Integer, the number of the signal.
    """

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


class Raiser:
    """A signal handler that raises `KeyboardInterrupt` or `SignaledError`.

    Attributes:
        raised: The exception that it raised last, or `None`. Where code turns it into
            another exception, this is the cause.
    """

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self._time = 0.0

    def __call__(self, number: int, frame: object) -> None:
        now = time.monotonic()
        if self.raised and now - self._time < _REPEATED_SECONDS:
            return
        self._time = now
        is_interrupt = number == signal.SIGINT
        self.raised = KeyboardInterrupt() if is_interrupt else SignaledError(number)
        raise self.raised


@contextlib.contextmanager
def raising() -> Iterator[Raiser]:
    """Raises an exception on Ctrl-C and on `stop_request.SIGNALS`."""
    raiser = Raiser()
    with stop_request.handled_by(raiser, (signal.SIGINT, *stop_request.SIGNALS)):
        yield raiser
