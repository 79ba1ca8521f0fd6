"""Name the file behind an error of an input pipeline.

TensorFlow's decoders and readers do not name the file that they fail on, and Python
code around each of them would slow down every image. So the images are looked for after
the error, with `Source.find_fault`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import tensorflow as tf

from bt_keras.errors import UsageError

if TYPE_CHECKING:
    from bt_keras.data.source import Source

# Errors that do not come from reading or decoding images.
_OTHER = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)


@contextlib.contextmanager
def named(*sources: Source) -> Iterator[None]:
    """Raises a `UsageError` that names the file for errors of reading images.

    The images are checked in the order of the files, up to the first fault.

    Args:
        *sources: `Source`s that are read inside the context.
    """
    try:
        yield
    except tf.errors.OpError as error:
        checks = (source.find_fault for source in sources)
        fault = _find(error, checks)
        if fault is None:
            raise
        raise fault from error


def in_batches(
    source: Source,
    batch_size: int,
    seed: int,
    error: tf.errors.OpError,
    first_step: int,
    steps: int = 1,
) -> UsageError | None:
    """Finds the fault of the images of some batches of `bt_keras.data.pairs`.

    Args:
        source: `Source`.
        batch_size: Integer. Global batch size.
        seed: Integer. Seed of the order.
        error: `tf.errors.OpError` of the training step.
        first_step: Integer. The first batch that was not trained on.
        steps: Integer. Number of batches, all of one epoch. Defaults to `1`.

    Returns:
        `UsageError` that names the file, or None if the images have no fault.
    """
    steps_per_epoch = source.steps_per_epoch(batch_size)
    epoch, step = divmod(first_step, steps_per_epoch)
    place = {
        "shuffle_seed": tf.constant([seed, epoch], tf.int64),
        "first": step * batch_size,
        "count": steps * batch_size,
    }
    check = source.find_fault
    return _find(error, [check and functools.partial(check, **place)])


def _find(error, checks):
    if isinstance(error, _OTHER):
        return None
    for check in checks:
        if check and (fault := check(str(error))):
            return UsageError(fault)
    return None
