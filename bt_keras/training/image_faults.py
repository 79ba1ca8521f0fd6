"""What happens to a run if an image cannot be read any more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from bt_keras.checkpoint.callbacks import Checkpoints, ProgressTracker
from bt_keras.errors import UsageError


@contextlib.contextmanager
def saved_before_faults(
    find_fault: Callable[[tf.errors.OpError, int, int], UsageError | None],
    tracker: ProgressTracker,
    checkpoints: Checkpoints,
) -> Iterator[None]:
    """Writes a checkpoint and names the file for errors of reading images.

    Args:
        find_fault: See `Training`.
        tracker: `ProgressTracker` of the `fit` inside the context.
        checkpoints: `Checkpoints` of the same `fit`.

    Raises:
        UsageError: If an image of the next step cannot be read.
    """
    try:
        yield
    except tf.errors.OpError as error:
        steps = checkpoints.model.steps_per_execution if checkpoints.model else 1
        fault = find_fault(error, tracker.progress.batch, steps)
        if fault is None:
            raise
        saved = checkpoints.write_before(fault)
        raise UsageError(f"{fault} {saved}".rstrip()) from error
