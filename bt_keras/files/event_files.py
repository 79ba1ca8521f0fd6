"""Errors of TensorFlow while it writes the files that TensorBoard reads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import tensorflow as tf

from bt_keras.errors import UsageError, one_line


@contextlib.contextmanager
def reporting(folder: str | os.PathLike, advice: str) -> Iterator[None]:
    """Raises `UsageError` for errors of TensorFlow; compute nothing inside.

    A full disk and a full memory are the same class of error in TensorFlow.

    Args:
        folder: Path of the log.
        advice: String, what to do besides freeing space, such as
            `"choose another folder."`.

    Raises:
        UsageError: If the log cannot be written.
    """
    try:
        yield
    except tf.errors.OpError as error:
        raise UsageError(
            f"{folder} cannot be written ({one_line(error.message)}): free space, or "
            f"{advice}"
        ) from error
