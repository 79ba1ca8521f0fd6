"""Classify errors of TensorFlow by their texts.

Keras raises some of them again, as `RuntimeError`.
"""

from __future__ import annotations

import errno
import re
import sys

from bt_keras.errors import one_line

# Texts of TensorFlow, XLA, CUDA, cuDNN, cuBLAS and C++.
_OUT_OF_MEMORY = re.compile(
    r"OOM when allocating|out of memory|failed to allocate|unable to allocate"
    r"|cannot allocate memory|OUT_OF_MEMORY|ALLOC_FAILED|bad_alloc",
    re.IGNORECASE,
)
_THREADS = re.compile(
    r"can't start new thread|thread creation failed|pthread_create", re.IGNORECASE
)
_DEVICE = re.compile(r"\b(CUDA|cuDNN|cuBLAS|NCCL|GPU driver|ptxas)", re.IGNORECASE)
_SYSTEM = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Permission denied": errno.EACCES,
    "Read-only file system": errno.EROFS,
    "Too many open files": errno.EMFILE,
    "File name too long": errno.ENAMETOOLONG,
    "File too large": errno.EFBIG,
    "Input/output error": errno.EIO,
}
# Classes of errors whose cause lies outside the program.
_OUTSIDE = (
    "AlreadyExistsError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnauthenticatedError",
    "UnavailableError",
)
# What TensorFlow and Keras add to the reason.
_NOISE = re.compile(
    r"\{\{\S+ .*?\}\}|\[\[\{\{.*?\}\}\]\]|\[Op:\w+\]|\bname: *$"
    r"|Graph execution error:|<stack traces unavailable>"
    r"|Error in user-defined function passed to \S+ transformation with iterator: \S+"
    r"|Detected at node .*? defined at \(most recent call last\):"
    r"|^Exception encountered when calling .*?\.(?=\s)",
    re.DOTALL,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether memory of the machine or of a GPU is used up."""
    return _says(_OUT_OF_MEMORY, error)


def is_out_of_threads(error: BaseException) -> bool:
    """Returns whether no thread can be started; Python's own error, too."""
    return _says(_THREADS, error)


def is_of_device(error: BaseException) -> bool:
    """Returns whether a GPU, its driver or its libraries fail."""
    return _says(_DEVICE, error)


def is_from_outside(error: BaseException) -> bool:
    """Returns whether the cause lies outside the program, such as in a file."""
    return _is_of_tensorflow(error) and type(error).__name__ in _OUTSIDE


def system_error(error: BaseException) -> int | None:
    """Returns the `errno` of the system's error behind an error, or `None`."""
    if not _is_of_tensorflow(error):
        return None
    found = (code for text, code in _SYSTEM.items() if text in str(error))
    return next(found, None)


def reason(error: BaseException) -> str:
    """Returns what an error says, in one line, without names of nodes and devices."""
    text = _NOISE.sub(" ", str(getattr(error, "message", error)))
    return one_line(text.strip() or type(error).__name__)


def _says(pattern: re.Pattern, error: BaseException) -> bool:
    return _is_of_tensorflow(error) and bool(pattern.search(str(error)))


def _is_of_tensorflow(error: BaseException) -> bool:
    tensorflow = sys.modules.get("tensorflow")
    classes = (RuntimeError, *((tensorflow.errors.OpError,) if tensorflow else ()))
    return isinstance(error, classes) and not isinstance(error, RecursionError)
