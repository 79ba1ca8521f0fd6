"""What a run does when a step is non-finite: it stops, or it skips the batches."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import tensorflow as tf
from absl import logging

from bt_keras.checkpoint.progress import Progress
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.training.nonfinite import NonFiniteError, largest_activation
from bt_keras.training.run import Training

# What to do when the loss or a gradient is non-finite.
ON_NAN = ("stop", "rollback")


@dataclasses.dataclass(frozen=True)
class Rollback:
    """Trains a run to its end, with rollbacks if the user asked for them.

    Args:
        on_nan: String, one of `ON_NAN`, what to do when the loss or a gradient is
            non-finite.
        most: Integer >= 0, the largest number of rollbacks.
        pairs: Function from `first_step` to the dataset, as for `Training`.
        schedule: Function from a step to its learning rate.
    """

    on_nan: str
    most: int
    pairs: Callable[..., tf.data.Dataset]
    schedule: Callable

    def train(
        self, training: Training, model: BarlowTwins, progress: Progress
    ) -> BarlowTwins:
        """Trains to the end of the run.

        Args:
            training: `Training`.
            model: Model that `training.make_model` returned.
            progress: `Progress` of the model.

        Returns:
            The trained model, another one after a rollback to the first step.

        Raises:
            UsageError: If the loss or a gradient is non-finite, and the run may not be
                rolled back (again); or as `Training.train`.
            StoppedError: As `Training.train`.
        """
        while True:
            try:
                training.train(model, progress)
                return model
            except NonFiniteError as error:
                diagnosis = self._diagnosis(model, error)
                if self.on_nan == "stop":
                    raise UsageError(
                        f"{diagnosis}. The checkpoints in "
                        f"{training.workdir.checkpoints} are from before it; "
                        "--on_nan=rollback resumes from the last one and skips these "
                        "batches."
                    ) from error
                model, progress = self._roll_back(training, model, error, diagnosis)

    def _diagnosis(self, model: BarlowTwins, error: NonFiniteError) -> str:
        """Returns the step, its rate, the largest activation, and suggested fixes."""
        batches = itertools.islice(
            self.pairs(first_step=error.batches.start), len(error.batches)
        )
        rate = float(self.schedule(error.after.step - 1))
        try:
            activation = largest_activation(model, batches)
        except tf.errors.OpError:  # Out of memory: report without the activation.
            activation = None
        return error.describe(rate, activation)

    def _roll_back(
        self,
        training: Training,
        model: BarlowTwins,
        error: NonFiniteError,
        diagnosis: str,
    ) -> tuple[BarlowTwins, Progress]:
        """Restores the last checkpoint and skips the batches that led to the error."""
        rollbacks = error.before.rollbacks
        if rollbacks >= self.most:
            raise UsageError(
                f"{diagnosis}. The run was already rolled back {rollbacks} times, as "
                "often as config.checkpoint.max_rollbacks allows."
            )
        progress, path = training.resume_point()
        logging.warning(
            "%s. Rolling back to step %d and skipping %d batches.",
            diagnosis,
            progress.step,
            error.after.batch - progress.batch,
        )
        if training.is_chief:
            training.workdir.cut_log(progress.epoch)
        if path:
            training.restore(model, path)
        else:
            model = training.make_model()
        return model, progress.skip_to(error.after.batch, rollbacks + 1)
