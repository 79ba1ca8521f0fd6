"""Build, restore and train a run."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

from bt_keras.callbacks import RepresentationMonitor
from bt_keras.callbacks.input_watch import InputWatch
from bt_keras.checkpoint import save_restore, store
from bt_keras.checkpoint.callbacks import CheckpointPolicy, Checkpoints, ProgressTracker
from bt_keras.checkpoint.progress import Progress
from bt_keras.distribution import strategies
from bt_keras.distribution.stop_request import StopRequest
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.training.epoch_log import EpochLog
from bt_keras.training.image_faults import saved_before_faults
from bt_keras.training.nonfinite import NonFiniteWatch
from bt_keras.training.probes import Probes
from bt_keras.training.tensorboard import TensorBoard
from bt_keras.training.validation import HeldOut
from bt_keras.workdir import Workdir, writable


@dataclasses.dataclass(frozen=True)
class Settings:
    """Numbers that stay the same from the first step of a run to its last.

    Args:
        epochs: Integer > 0, epochs of the run.
        steps_per_epoch: Integer > 0, training steps per epoch.
        images: Dict from names to integers of the images, compared between workers.
        checkpoints: `CheckpointPolicy`, when checkpoints are written and removed.
    """

    epochs: int
    steps_per_epoch: int
    images: dict[str, int]
    checkpoints: CheckpointPolicy


class Training:
    """The steps of a run: build the model, restore it, train it.

    Args:
        workdir: `Workdir` of the run.
        strategy: `tf.distribute.Strategy`.
        new_model: Function without arguments that returns the compiled model with its
            initial weights.
        pairs: Function with the argument `first_step` that returns the endless
            `tf.data.Dataset` of batches `(view_a, view_b)` from that batch on.
        find_fault: Function of an error of TensorFlow, the next batch and a number of
            batches that returns a `UsageError` if their images cannot be read, or None.
        held_out: `HeldOut`, the images whose loss is logged after every epoch, or None.
        probes: `Probes`, the callbacks that measure the features.
        settings: `Settings`.
    """

    def __init__(
        self,
        workdir: Workdir,
        strategy: tf.distribute.Strategy,
        new_model: Callable[[], BarlowTwins],
        pairs: Callable[..., tf.data.Dataset],
        find_fault: Callable[[tf.errors.OpError, int, int], UsageError | None],
        held_out: HeldOut | None,
        probes: Probes,
        settings: Settings,
    ):
        self.workdir = workdir
        self.strategy = strategy
        self.is_chief = strategies.is_chief(strategy)
        self._new_model = new_model
        self._pairs = pairs
        self._find_fault = find_fault
        self._held_out = held_out
        self._probes = probes
        self._attached: list[keras.callbacks.Callback] = []
        self._settings = settings
        self._stop = StopRequest(strategy, strategies.num_workers(strategy))

    def resume_point(self) -> tuple[Progress, Path | None]:
        """Finds the newest checkpoint and renames damaged ones.

        Returns:
            `(progress, path)`; the path is `None` at the beginning of a run.

        Raises:
            UsageError: If the checkpoint does not fit the config and the data, or if
                the workers do not find the same checkpoint and images.
        """
        with strategies.raise_on_all_workers(self.strategy):
            progress, path = store.find_newest(self.workdir.checkpoints, self.is_chief)
        steps_per_epoch = self._settings.steps_per_epoch
        progress = progress or Progress(steps_per_epoch)
        numbers = {
            "newest checkpoint's steps (the workdir must be shared)": progress.step,
            **self._settings.images,
        }
        strategies.check_agreement(self.strategy, numbers)
        if progress.steps_per_epoch != steps_per_epoch:
            raise UsageError(
                f"checkpoint {path} belongs to a run with {progress.steps_per_epoch} "
                f"steps per epoch, but the data now give {steps_per_epoch}: restore "
                "the images that it was trained on, or take another --workdir."
            )
        return progress, path

    def make_model(self) -> BarlowTwins:
        """Builds and compiles the model with its initial weights and new probes."""
        with self.strategy.scope():
            model = self._new_model()
        self._attached = self._probes.attach(model)
        return model

    def restore(self, model: BarlowTwins, path: Path | None) -> None:
        """Loads a checkpoint into the model, its optimizer and its probes.

        Args:
            model: Model that `make_model` returned.
            path: Path of a checkpoint. `None` leaves the model unchanged.
        """
        if path:
            if others := store.other_versions(path):
                logging.warning("Checkpoint %s was written with %s.", path, others)
            with self.strategy.scope():
                save_restore.restore(path, model)

    def train(self, model: BarlowTwins, progress: Progress) -> None:
        """Trains to the end of the run.

        Args:
            model: Model that `make_model` returned. At the end it has no probes.
            progress: `Progress` of the model.

        Raises:
            NonFiniteError: If the loss or a gradient is non-finite.
            StoppedError: If the run was asked to stop.
            UsageError: If a checkpoint cannot be written or an image cannot be read.
        """
        callbacks = self._callbacks(progress)
        others = [self._held_out.source] if self._held_out else []
        others += self._probes.sources
        tracker, checkpoints = callbacks[0], callbacks[-1]
        epochs, steps_per_epoch = self._settings.epochs, self._settings.steps_per_epoch
        with (
            self._stop.listening(),
            self._ended_line(),
            writable(self.workdir.path),
            saved_before_faults(self._find_fault, others, tracker, checkpoints),
        ):
            while tracker.progress.epoch < epochs:
                now = tracker.progress
                with self.strategy.scope():
                    pairs = self._pairs(first_step=now.batch)
                    held_out = self._held_out and self._held_out.pairs()
                model.fit(
                    pairs,
                    validation_data=held_out,
                    initial_epoch=now.epoch,
                    epochs=epochs,
                    # The rest of a started epoch is a `fit` of its own.
                    steps_per_epoch=steps_per_epoch - now.step_in_epoch,
                    callbacks=callbacks,
                    verbose="auto" if self.is_chief else 0,
                    shuffle=False,  # `pairs` shuffles every epoch.
                )
        for observer in model.observers:
            model.unobserve(observer)

    def _callbacks(self, progress: Progress) -> list[keras.callbacks.Callback]:
        """Returns the tracker first, then what adds logs, loggers, and checkpoints."""
        tracker = ProgressTracker(progress)
        logs = [
            EpochLog(str(self.workdir.log_file)),
            TensorBoard(self.workdir.tensorboard),
        ]
        folder, policy = self.workdir.checkpoints, self._settings.checkpoints
        checkpoints = Checkpoints(folder, tracker, self._stop, policy, self.is_chief)
        logs = logs if self.is_chief else []
        watches: list[keras.callbacks.Callback] = [NonFiniteWatch(tracker)]
        if not any(isinstance(c, RepresentationMonitor) for c in self._attached):
            watches.append(InputWatch())  # Monitors have their own.
        return [tracker, *watches, *self._attached, *logs, checkpoints]

    @contextlib.contextmanager
    def _ended_line(self) -> Iterator[None]:
        """Ends the line of the progress bar before an error is printed."""
        try:
            yield
        except BaseException:
            if self.is_chief:
                print(flush=True)
            raise
