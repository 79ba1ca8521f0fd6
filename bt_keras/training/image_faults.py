"""What happens to a run if an image cannot be read any more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from bt_keras.checkpoint.callbacks import Checkpoints, ProgressTracker
from bt_keras.data import faults
from bt_keras.data.source import Source
from bt_keras.errors import UsageError


@contextlib.contextmanager
def saved_before_faults(
    find_fault: Callable[[tf.errors.OpError, int, int], UsageError | None],
    others: Sequence[Source],
    tracker: ProgressTracker,
    checkpoints: Checkpoints,
) -> Iterator[None]:
    """Writes a checkpoint and names the file for errors of reading images.

    Args:
        find_fault: See `Training`.
        others: Sequence of `Source`, the images that are read between the last step of
            an epoch and its logs.
        tracker: `ProgressTracker` of the `fit` inside the context.
        checkpoints: `Checkpoints` of the same `fit`.

    Raises:
        UsageError: If an image of the next step, or one of the others, cannot be read.
    """
    try:
        yield
    except tf.errors.OpError as error:
        steps = checkpoints.model.steps_per_execution if checkpoints.model else 1
        fault = find_fault(error, tracker.progress.batch, steps)
        if fault is None and others and not tracker.progress.step_in_epoch:
            fault = faults.find(error, [each.find_fault for each in others])
        if fault is None:
            raise
        saved = checkpoints.write_before(fault)
        raise UsageError(f"{fault} {saved}".rstrip()) from error
