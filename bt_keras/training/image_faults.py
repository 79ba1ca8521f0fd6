"""What happens to a run if an image cannot be read any more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from bt_keras.checkpoint.callbacks import Checkpoints, ProgressTracker
from bt_keras.data import faults
from bt_keras.errors import UsageError
from bt_keras.training.validation import HeldOut


@contextlib.contextmanager
def saved_before_faults(
    find_fault: Callable[[tf.errors.OpError, int, int], UsageError | None],
    held_out: HeldOut | None,
    tracker: ProgressTracker,
    checkpoints: Checkpoints,
) -> Iterator[None]:
    """Writes a checkpoint and names the file for errors of reading images.

    Args:
        find_fault: See `Training`.
        held_out: See `Training`.
        tracker: `ProgressTracker` of the `fit` inside the context.
        checkpoints: `Checkpoints` of the same `fit`.

    Raises:
        UsageError: If an image of the next step, or a held-out image, cannot be read.
    """
    try:
        yield
    except tf.errors.OpError as error:
        steps = checkpoints.model.steps_per_execution if checkpoints.model else 1
        fault = find_fault(error, tracker.progress.batch, steps)
        # The held-out images are read between the last step of an epoch and its logs.
        if fault is None and held_out and not tracker.progress.step_in_epoch:
            fault = faults.find(error, [held_out.source.find_fault])
        if fault is None:
            raise
        saved = checkpoints.write_before(fault)
        raise UsageError(f"{fault} {saved}".rstrip()) from error
