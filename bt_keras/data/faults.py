"""Name the file behind an error of an input pipeline.

TensorFlow's decoders and readers do not name the file that they fail on, and Python
code around each of them would slow down every image. So the images are looked for after
the error, with `Source.find_fault`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator

import tensorflow as tf

from bt_keras.errors import UsageError

# Errors that do not come from reading or decoding images.
_OTHER = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)


@contextlib.contextmanager
def named(*find_faults: Callable | None) -> Iterator[None]:
    """Raises a `UsageError` that names the file for errors of reading images.

    The images are checked in the order of the files, up to the first fault.

    Args:
        *find_faults: `Source.find_fault` of the sources that are read inside the
            context.
    """
    try:
        yield
    except tf.errors.OpError as error:
        fault = find(error, find_faults)
        if fault is None:
            raise
        raise fault from error


def in_batches(
    find_fault: Callable | None,
    steps_per_epoch: int,
    batch_size: int,
    seed: int,
    error: tf.errors.OpError,
    first_step: int,
    steps: int = 1,
) -> UsageError | None:
    """Finds the fault of the images of some batches of `bt_keras.data.pairs`.

    Args:
        find_fault: `Source.find_fault`.
        steps_per_epoch: Integer. Number of batches in an epoch.
        batch_size: Integer. Global batch size.
        seed: Integer. Seed of the order.
        error: `tf.errors.OpError` of the training step.
        first_step: Integer. The first batch that was not trained on.
        steps: Integer. Number of batches, all of one epoch. Defaults to `1`.

    Returns:
        `UsageError` that names the file, or None if the images have no fault.
    """
    epoch, step = divmod(first_step, steps_per_epoch)
    place = {
        "shuffle_seed": tf.constant([seed, epoch], tf.int64),
        "first": step * batch_size,
        "count": steps * batch_size,
    }
    return find(error, [find_fault and functools.partial(find_fault, **place)])


def find(
    error: tf.errors.OpError, find_faults: Iterable[Callable | None]
) -> UsageError | None:
    """Finds the first image that cannot be read.

    Args:
        error: `tf.errors.OpError` of reading the images.
        find_faults: Iterable of `Source.find_fault`, or None where it is unknown.

    Returns:
        `UsageError` that names the file, or None if no image has a fault, or damaged
        images do not cause such errors.
    """
    if isinstance(error, _OTHER):
        return None
    for find_fault in find_faults:
        if find_fault and (fault := find_fault(str(error))):
            return UsageError(fault)
    return None
