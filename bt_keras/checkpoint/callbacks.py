"""When a run writes a checkpoint, and where in the run it is."""

import time

import keras

from bt_keras.checkpoint import save_restore, store
from bt_keras.errors import StoppedError, UsageError


class ProgressTracker(keras.callbacks.Callback):
    """Counts the steps of a run over all its epochs, and resumes an epoch's means.

    It stands before all other callbacks; they read `progress`.

    Args:
        progress: `Progress` that `fit` begins with. If it lies inside an epoch, the
            first epoch of `fit` is the rest of that one, and `fit` ends with it: the
            others have more steps.
    """

    def __init__(self, progress):
        super().__init__()
        self.progress = progress
        self._seen = 0
        self._is_rest = False

    def on_epoch_begin(self, epoch, logs=None):
        self._seen = 0
        self._is_rest = self.progress.step_in_epoch > 0
        for tracker in self.model.metrics:
            if tracker.name in self.progress.means:
                total, count = self.progress.means[tracker.name]
                tracker.total.assign(total)
                tracker.count.assign(count)

    def on_train_batch_end(self, batch, logs=None):
        steps, self._seen = batch + 1 - self._seen, batch + 1
        self.progress = self.progress.after(steps)

    def on_epoch_end(self, epoch, logs=None):
        if self._is_rest:
            self.model.stop_training = True

    def progress_with_means(self):
        """`progress` with what the epoch's metrics have gathered so far."""
        means = {
            tracker.name: (float(tracker.total.numpy()), float(tracker.count.numpy()))
            for tracker in self.model.metrics
        }
        return self.progress.after(0, means if self.progress.step_in_epoch else None)


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint after every epoch, every so often, and when asked to stop.

    It stands behind what writes an epoch's logs, so that a checkpoint of an epoch's end
    says that they are written.

    Args:
        folder: path of an existing folder.
        tracker: `ProgressTracker` of the same `fit`.
        stop: `StopRequest`.
        writes: bool, whether this worker writes; the others only stop with it.
        keep: int > 0, how many of the last checkpoints to keep.
        keep_every: int >= 0, also keep those after every so many epochs; 0 for none.
        every_steps: int >= 0, write after so many steps too; 0 for never.
        every_minutes: float >= 0, write after so many minutes too; 0 for never.

    Raises:
        StoppedError: from `fit`, when asked to stop, after the checkpoint is written.
        UsageError: from `fit`, if it cannot be written.
    """

    def __init__(
        self,
        folder,
        tracker,
        stop,
        writes=True,
        keep=2,
        keep_every=0,
        every_steps=0,
        every_minutes=0.0,
    ):
        super().__init__()
        self._folder = folder
        self._tracker = tracker
        self._stop = stop
        self._writes = writes
        self._keep = keep
        self._keep_every = keep_every
        self._every_steps = every_steps
        self._every_seconds = 60.0 * every_minutes
        self._written_step = tracker.progress.step
        self._written_time = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        # After an epoch's last step its logs have to be written first.
        if self._tracker.progress.step_in_epoch:
            error = self._try_to_write() if self._due() else None
            reason = self._stop.reason(error)
            if reason:
                written = self._written_step == self._tracker.progress.step
                # Nobody leaves before the checkpoint is there.
                self._stop.reason(None if written else self._try_to_write())
            self._give_way(reason)

    def on_epoch_end(self, epoch, logs=None):
        reason = self._stop.reason(self._try_to_write())
        if self._tracker.progress.epoch < self.params["epochs"]:
            self._give_way(reason)

    def _due(self):
        steps = self._tracker.progress.step - self._written_step
        seconds = time.monotonic() - self._written_time
        by_steps = self._every_steps and steps >= self._every_steps
        return by_steps or (self._every_seconds and seconds >= self._every_seconds)

    def _try_to_write(self):
        """Returns the `UsageError` that all workers have to end with, if any."""
        error = None
        if self._writes:
            progress = self._tracker.progress_with_means()
            try:
                save_restore.write(self.model, self._folder, progress)
                store.prune(self._folder, self._keep, self._keep_every)
            except UsageError as failure:
                error = failure
        self._written_step = self._tracker.progress.step
        self._written_time = time.monotonic()
        return error

    def _give_way(self, reason):
        if reason:
            progress = self._tracker.progress
            raise StoppedError(
                f"stopped by {reason} after step {progress.step} ({progress.epochs} "
                f"epochs); the checkpoint {self._folder / store.name(progress)} is "
                "written, and the same command goes on from it"
            )
