"""Keras callbacks that track the progress of a run and write its checkpoints."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import keras

from bt_keras.checkpoint import save_restore, store
from bt_keras.checkpoint.progress import Progress
from bt_keras.distribution.stop_request import StopRequest
from bt_keras.errors import StoppedError, UsageError


class ProgressTracker(keras.callbacks.Callback):
    """Counts the steps of a run across epochs and restores the metrics of an epoch.

    It must be the first callback: the others read its `progress`.

    Args:
        progress: `Progress` at the start of `fit`. If it lies within an epoch, `fit`
            trains the rest of that epoch and ends, because the following epochs have
            more steps.
    """

    def __init__(self, progress: Progress):
        super().__init__()
        self.progress = progress
        self._steps_seen = 0
        self._is_rest = False

    def on_epoch_begin(self, epoch, logs=None):
        self._steps_seen = 0
        self._is_rest = self.progress.step_in_epoch > 0
        for metric in self.model.metrics:
            if metric.name in self.progress.means:
                total, count = self.progress.means[metric.name]
                metric.total.assign(total)
                metric.count.assign(count)

    def on_train_batch_end(self, batch, logs=None):
        steps, self._steps_seen = batch + 1 - self._steps_seen, batch + 1
        self.progress = self.progress.after(steps)

    def on_epoch_end(self, epoch, logs=None):
        if self._is_rest:
            self.model.stop_training = True

    def progress_with_means(self) -> Progress:
        """Returns `progress` with the state of the epoch's metrics."""
        means = {
            metric.name: (float(metric.total.numpy()), float(metric.count.numpy()))
            for metric in self.model.metrics
        }
        return self.progress.after(0, means if self.progress.step_in_epoch else None)


@dataclasses.dataclass(frozen=True)
class CheckpointPolicy:
    """When checkpoints are written besides every epoch's end, and which are kept.

    Args:
        keep: Integer > 0, how many of the last checkpoints to keep. Defaults to `2`.
        keep_every: Integer >= 0, keep also the checkpoints after every `keep_every`
            epochs; 0 for none. Defaults to `0`.
        every_steps: Integer >= 0, write a checkpoint after this many steps; 0 for
            never. Defaults to `0`.
        every_minutes: Float >= 0, write a checkpoint after this many minutes; 0 for
            never. Defaults to `0.0`.
    """

    keep: int = 2
    keep_every: int = 0
    every_steps: int = 0
    every_minutes: float = 0.0

    def is_due(self, steps: int, seconds: float) -> bool:
        """Returns whether to write a checkpoint now.

        Args:
            steps: Integer >= 0, steps since the last checkpoint.
            seconds: Float >= 0, seconds since the last checkpoint.
        """
        by_steps = 0 < self.every_steps <= steps
        by_time = 0 < self.every_minutes * 60.0 <= seconds
        return by_steps or by_time


class Checkpoints(keras.callbacks.Callback):
    """Writes checkpoints: after every epoch, by its policy, and before it stops.

    It must come after the callbacks that write an epoch's logs, because a checkpoint
    at the end of an epoch implies that they are written.

    Args:
        folder: Path of an existing folder.
        tracker: `ProgressTracker` of the same `fit`.
        stop: `StopRequest` of the run.
        policy: `CheckpointPolicy`. Defaults to `CheckpointPolicy()`.
        writes: Boolean, whether this worker writes checkpoints. The other workers only
            stop together with it. Defaults to `True`.

    Raises:
        StoppedError: From `fit`, after a checkpoint was written, if the run was asked
            to stop.
        UsageError: From `fit`, if a checkpoint cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        tracker: ProgressTracker,
        stop: StopRequest,
        policy: CheckpointPolicy = CheckpointPolicy(),
        writes: bool = True,
    ):
        super().__init__()
        self._folder = folder
        self._tracker = tracker
        self._stop = stop
        self._policy = policy
        self._writes = writes
        self._written_step = tracker.progress.step
        self._written_time = time.monotonic()
        self._iterations = 0

    def on_train_batch_end(self, batch, logs=None):
        self._iterations = int(self.model.optimizer.iterations.numpy())
        # The logs of an epoch must be written before the checkpoint at its end.
        if self._tracker.progress.step_in_epoch:
            error = self._try_to_write() if self._is_due() else None
            reason = self._stop.reason(error)
            if reason:
                written = self._written_step == self._tracker.progress.step
                # All workers stay until the checkpoint is written.
                self._stop.reason(None if written else self._try_to_write())
            self._raise_stopped(reason)

    def on_epoch_end(self, epoch, logs=None):
        reason = self._stop.reason(self._try_to_write())
        if self._tracker.progress.epoch < self.params["epochs"]:
            self._raise_stopped(reason)

    def write_before(self, error: UsageError) -> str:
        """Writes a checkpoint of the steps before one that failed.

        With several steps per execution, some of the failed execution's steps may have
        changed the weights: then only earlier checkpoints can be resumed from.

        Args:
            error: `UsageError` that ends the run; the step has not changed the weights.

        Returns:
            String that says where the run resumes, "" at its beginning.

        Raises:
            UsageError: If the checkpoint cannot be written; it contains `error`, too.
        """
        progress = self._tracker.progress
        # At the end of an epoch, its logs would be missing after the checkpoint.
        is_new = progress.step > self._written_step and progress.step_in_epoch
        if is_new and self._writes and self.model.steps_per_execution == 1:
            # TensorFlow counts a step although it fails to read its images.
            self.model.optimizer.iterations.assign(self._iterations)
            for metric in self.model.metrics:
                if metric.count.numpy() > 0:  # Others are those of `evaluate`.
                    metric.count.assign(progress.step_in_epoch)
            if failure := self._try_to_write():
                raise UsageError(f"{error} {failure}") from failure
            path = self._folder / store.name(progress)
            return (
                f"The checkpoint {path} is written; the same command resumes from it."
            )
        if self._written_step:
            return "The same command resumes from the newest checkpoint."
        return ""

    def _is_due(self) -> bool:
        steps = self._tracker.progress.step - self._written_step
        return self._policy.is_due(steps, time.monotonic() - self._written_time)

    def _try_to_write(self) -> UsageError | None:
        """Writes a checkpoint; returns the error that must stop all workers, if any."""
        error = None
        if self._writes:
            progress = self._tracker.progress_with_means()
            try:
                save_restore.write(self.model, self._folder, progress)
                store.prune(self._folder, self._policy.keep, self._policy.keep_every)
            except UsageError as failure:
                error = failure
        self._written_step = self._tracker.progress.step
        self._written_time = time.monotonic()
        return error

    def _raise_stopped(self, reason: str | None) -> None:
        if reason:
            progress = self._tracker.progress
            raise StoppedError(
                f"stopped by {reason} after step {progress.step} ({progress.epochs} "
                f"epochs); the checkpoint {self._folder / store.name(progress)} is "
                "written, and the same command resumes from it"
            )
