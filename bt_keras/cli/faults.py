"""Turn every exception into one line and an exit status.

`describe` looks an exception up in a table. Where the cause of an error is known, the
code there raises `UsageError`; the other rows are for what can happen anywhere: a full
disk, too little memory, a signal, a bug.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable

from absl import flags

from bt_keras.cli import tensorflow_errors
from bt_keras.cli.signals import SignaledError
from bt_keras.errors import StoppedError, UsageError, one_line

# Exit statuses; docs/resuming.md lists them.
BUG = 1
BAD_INPUT = 2
STOPPED = 75  # EX_TEMPFAIL of sysexits.h: the command can be repeated.
SIGNALED = 128  # As shells report signals: plus their number.
INTERRUPTED = 130  # SIGINT
CLOSED_PIPE = 141  # SIGPIPE

TRACEBACK = "BT_KERAS_TRACEBACK"

_ADVICE = {
    errno.ENOSPC: "free space",
    errno.EDQUOT: "free space, or ask for a larger quota",
    errno.EACCES: "check the permissions",
    errno.EPERM: "check the permissions",
    errno.EROFS: "take another folder",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close programs that have many open files",
    errno.ENAMETOOLONG: "take a shorter path",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f)",
    errno.EIO: "check the disk, or take another",
}


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a command's lines about general faults say.

    Args:
        memory: String, how the command can do with less memory.
        resumes: Boolean, whether the same command resumes after a signal. Its output is
            then only progress, which may be lost. Defaults to `False`.
    """

    memory: str = "close other programs, or take a machine with more memory"
    resumes: bool = False


@dataclasses.dataclass(frozen=True)
class Fault:
    """How a command ends.

    Args:
        message: String, one line for the user.
        status: Integer, the exit status.
    """

    message: str
    status: int


def describe(error: BaseException, advice: Advice = Advice()) -> Fault:
    """Describes an exception that ends a command.

    Args:
        error: Exception.
        advice: `Advice` of the command. Defaults to `Advice()`.

    Returns:
        `Fault`.

    Example:

    >>> from bt_keras.cli import faults
    >>> faults.describe(OSError(28, "No space left on device", "runs/demo/log.csv"))
    Fault(message='error: runs/demo/log.csv: No space left on device; free space.', \
status=2)
    """
    for matches, to_fault in _TABLE:
        if matches(error):
            return to_fault(error, advice)
    name = type(error).__name__
    return Fault(
        f"internal error: {name}: {one_line(error)}; this is a bug in bt_keras: please "
        f"report it with the traceback, which {TRACEBACK}=1 prints.",
        BUG,
    )


def _signaled(error, advice):
    if advice.resumes:
        return Fault(
            f"stopped by {error} outside the training steps; the same command resumes "
            "from the last checkpoint, if there is one",
            STOPPED,
        )
    return Fault(f"stopped by {error}", SIGNALED + error.number)


def _is_out_of_memory(error):
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return tensorflow_errors.is_out_of_memory(error)


def _out_of_memory(error, advice):
    reason = tensorflow_errors.reason(error)
    return _bad_input(f"out of memory ({reason}): {advice.memory}.")


def _system_error(error, _):
    place = ", ".join(str(p) for p in (error.filename, error.filename2) if p)
    reason = error.strerror or one_line(error)
    message = f"{place}: {reason}" if place else reason
    return _bad_input(_with_advice(message, error.errno))


def _system_error_of_tensorflow(error, _):
    code = tensorflow_errors.system_error(error)
    return _bad_input(_with_advice(tensorflow_errors.reason(error), code))


def _with_advice(message, code):
    return f"{message}; {_ADVICE[code]}." if code in _ADVICE else f"{message}."


def _bad_input(message):
    return Fault(f"error: {message}", BAD_INPUT)


def _is(*classes):
    return lambda error: isinstance(error, classes)


def _says(text):
    """Returns a function that puts what an error says into a text."""
    return lambda error, _: _bad_input(text.format(tensorflow_errors.reason(error)))


# The first row that matches an exception describes it.
_TABLE: list[tuple[Callable, Callable[..., Fault]]] = [
    (
        _is(UsageError, flags.Error),
        lambda error, _: _bad_input(one_line(error, None)),
    ),
    (_is(StoppedError), lambda error, _: Fault(one_line(error, None), STOPPED)),
    (_is(KeyboardInterrupt), lambda error, _: Fault("interrupted", INTERRUPTED)),
    (_is(SignaledError), _signaled),
    (_is_out_of_memory, _out_of_memory),
    (_is(OSError), _system_error),
    (tensorflow_errors.system_error, _system_error_of_tensorflow),
    (
        tensorflow_errors.is_out_of_threads,
        _says(
            "{}: raise the limits of processes and memory (ulimit -u, ulimit -v), or "
            "close other programs."
        ),
    ),
    (
        tensorflow_errors.is_of_device,
        _says(
            "the GPU or its driver fails ({}): see the driver's log, or set "
            "CUDA_VISIBLE_DEVICES=-1 to run on the CPU."
        ),
    ),
    (tensorflow_errors.is_from_outside, _says("TensorFlow: {}")),
    (
        _is(UnicodeError),
        _says(
            "a text or a file name is not UTF-8 ({}): rename the file, or save it "
            "again as UTF-8."
        ),
    ),
    (
        _is(RecursionError),
        _says("the input is nested too deeply ({}): simplify it."),
    ),
    (
        _is(ImportError),
        _says(
            "a package cannot be imported ({}): install bt_keras again with "
            "`pip install`."
        ),
    ),
]
