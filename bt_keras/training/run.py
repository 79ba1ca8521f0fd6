"""A run from one state to the next: built, restored, trained, taken back."""

import contextlib
import itertools

import keras
import tensorflow as tf
from absl import logging

from bt_keras import data, optimizers
from bt_keras.checkpoint import save_restore, store
from bt_keras.checkpoint.callbacks import Checkpoints, ProgressTracker
from bt_keras.checkpoint.progress import Progress
from bt_keras.distribution import strategies
from bt_keras.distribution.stop_request import StopRequest
from bt_keras.errors import UsageError
from bt_keras.model import from_config
from bt_keras.training.nonfinite import NonFiniteWatch, largest_activation
from bt_keras.workdir import writable


class Training:
    """All that stays the same from the first step of a run to its last.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        workdir: `Workdir`.
        source: `bt_keras.data.Source` of the training images.
        views: what `bt_keras.views` returns.
        strategy: `tf.distribute.Strategy`.
    """

    def __init__(self, config, workdir, source, views, strategy):
        self.config = config
        self.workdir = workdir
        self.source = source
        self.views = views
        self.strategy = strategy
        self.is_chief = strategies.is_chief(strategy)
        self.steps_per_epoch = source.num_images // config.batch_size
        self._stop = StopRequest(strategy, strategies.num_workers(strategy))

    def newest(self):
        """Finds where the run goes on; damaged checkpoints are set aside.

        Returns:
            `(progress, path)`, the path None for the beginning.

        Raises:
            UsageError: if that is no place in the run that the config and the data
                describe, or the workers do not see the same.
        """
        with strategies.failing_together(self.strategy):
            progress, path = store.newest(self.workdir.checkpoints, self.is_chief)
        progress = progress or Progress(self.steps_per_epoch)
        strategies.check_agreement(
            self.strategy,
            {
                "steps of the newest checkpoint (the workdir must be shared)": (
                    progress.step
                ),
                "images": self.source.num_images,
            },
        )
        if progress.steps_per_epoch != self.steps_per_epoch:
            raise UsageError(
                f"checkpoint {path} is of a run with {progress.steps_per_epoch} steps "
                f"an epoch, the data now give {self.steps_per_epoch}: restore the "
                "images that it was trained on, or take another --workdir."
            )
        return progress, path

    def model(self):
        """Builds and compiles the model as it is before the first step."""
        with self.strategy.scope():
            return from_config.compiled_model(self.config, self.steps_per_epoch)

    def restore(self, model, path):
        """Fills the model with a checkpoint; it stays as it is where path is None."""
        if path:
            if others := store.other_versions(path):
                logging.warning("Checkpoint %s was written with %s.", path, others)
            with self.strategy.scope():
                save_restore.restore(path, model)

    def train(self, model, progress):
        """Trains to the end of the run.

        Args:
            model: what `model` returned.
            progress: `Progress` that it stands at.

        Raises:
            NonFiniteError: when the loss or a gradient is not finite.
            StoppedError: when the run was asked to stop.
            UsageError: when a checkpoint cannot be written.
        """
        callbacks = self._callbacks(progress)
        tracker = callbacks[0]
        with self._stop.listening(), self._ended_line(), writable(self.workdir.path):
            while tracker.progress.epoch < self.config.epochs:
                now = tracker.progress
                model.fit(
                    self._pairs(now.batch),
                    initial_epoch=now.epoch,
                    epochs=self.config.epochs,
                    # The rest of an epoch that was begun is a `fit` of its own.
                    steps_per_epoch=self.steps_per_epoch - now.step_in_epoch,
                    callbacks=callbacks,
                    verbose="auto" if self.is_chief else 0,
                    shuffle=False,  # It is: `pairs` gives every epoch an order.
                )

    def diagnosis(self, model, error):
        """Says in one line what is known of a step that was not finite.

        Args:
            model: the model of that step.
            error: `NonFiniteError`.
        """
        batches = itertools.islice(
            data.pairs(
                self.source,
                self.views,
                self.config.batch_size,
                seed=self.config.seed,
                endless=True,
                first_step=error.batches.start,
            ),
            len(error.batches),
        )
        schedule = optimizers.schedule(
            self.config, self.config.optimizer.learning_rate, self.steps_per_epoch
        )
        rate = float(schedule(error.after.step - 1))
        try:
            activation = largest_activation(model, batches)
        except tf.errors.OpError:  # Out of memory: the rest is still worth saying.
            activation = None
        return error.describe(rate, activation)

    def rolled_back(self, model, error, why):
        """Goes back to the last checkpoint, past the batches that led astray.

        Args:
            model: the model of that step.
            error: `NonFiniteError`.
            why: str, what to say of it.

        Returns:
            `(model, progress)`.

        Raises:
            UsageError: if it has gone back too often already.
        """
        rollbacks, most = error.before.rollbacks, self.config.checkpoint.max_rollbacks
        if rollbacks >= most:
            raise UsageError(
                f"{why}. The run has gone back {rollbacks} times already, as often as "
                "config.checkpoint.max_rollbacks allows."
            )
        progress, path = self.newest()
        skipped = error.after.batch - progress.batch
        logging.warning(
            "%s. Going back to step %d and past %d batches.",
            why,
            progress.step,
            skipped,
        )
        if self.is_chief:
            self.workdir.cut_log(progress.epoch)
        if path:
            self.restore(model, path)
        else:
            model = self.model()
        return model, progress.past(error.after.batch, rollbacks + 1)

    def _pairs(self, first_step):
        with self.strategy.scope():
            return data.pairs(
                self.source,
                self.views,
                self.config.batch_size,
                seed=self.config.seed,
                endless=True,
                first_step=first_step,
            )

    def _callbacks(self, progress):
        """The tracker first, and the checkpoints after what writes an epoch's logs."""
        tracker = ProgressTracker(progress)
        settings = self.config.checkpoint
        logs = [
            keras.callbacks.CSVLogger(str(self.workdir.log_file), append=True),
            keras.callbacks.TensorBoard(
                str(self.workdir.tensorboard), write_graph=False
            ),
        ]
        checkpoints = Checkpoints(
            self.workdir.checkpoints,
            tracker,
            self._stop,
            writes=self.is_chief,
            keep=settings.keep,
            keep_every=settings.keep_every,
            every_steps=settings.every_steps,
            every_minutes=settings.every_minutes,
        )
        logs = logs if self.is_chief else []
        return [tracker, NonFiniteWatch(tracker), *logs, checkpoints]

    @contextlib.contextmanager
    def _ended_line(self):
        """Lets what is said of an error begin a line, behind the progress bar's."""
        try:
            yield
        except BaseException:
            if self.is_chief:
                print(flush=True)
            raise
