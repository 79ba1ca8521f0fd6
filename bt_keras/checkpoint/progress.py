"""The progress of a run: everything a checkpoint stores besides variables.

Images and views are functions of the seed and the batch number (see `data.pairs`), so
that the batch number alone stores the data position.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of a run between two training steps.

    Args:
        steps_per_epoch: Integer > 0, training steps per epoch.
        step: Integer >= 0, training steps since the beginning of the run. Defaults to
            `0`.
        batch: Integer >= 0, the number of the next batch. It is larger than `step` by
            the number of batches that rollbacks skipped. Defaults to `0`.
        rollbacks: Integer >= 0, how often the run was rolled back. Defaults to `0`.
        means: Dict from the name of a metric to `(total, count)`, the metric state of
            an unfinished epoch. Defaults to `{}`.
    """

    steps_per_epoch: int
    step: int = 0
    batch: int = 0
    rollbacks: int = 0
    means: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Integer, the number of finished epochs."""
        return self.step // self.steps_per_epoch

    @property
    def step_in_epoch(self) -> int:
        """Integer in [0, steps_per_epoch), finished steps of the current epoch."""
        return self.step % self.steps_per_epoch

    @property
    def epochs(self) -> str:
        """String, the number of finished epochs, such as "2" or "2.25"."""
        return f"{self.step / self.steps_per_epoch:.4g}"

    def after(
        self, steps: int, means: dict[str, tuple[float, float]] | None = None
    ) -> Progress:
        """Returns the progress after more steps.

        Args:
            steps: Integer >= 0, the number of steps.
            means: Dict, the metric state. Defaults to `{}`.
        """
        return dataclasses.replace(
            self, step=self.step + steps, batch=self.batch + steps, means=means or {}
        )

    def skip_to(self, batch: int, rollbacks: int) -> Progress:
        """Returns the progress after a rollback to this step that skips batches.

        Args:
            batch: Integer, the number of the next batch.
            rollbacks: Integer, how often the run was rolled back, this time included.
        """
        return dataclasses.replace(self, batch=batch, rollbacks=rollbacks)

    def to_json(self) -> dict:
        """Returns the fields as a dict of JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict) -> Progress:
        """Returns the `Progress` that `to_json` gave.

        Raises:
            TypeError, ValueError: If the fields are not those of a `Progress`.
        """
        progress = cls(**fields)
        counts = (progress.step, progress.batch, progress.rollbacks)
        # `type`: a boolean is an integer, too.
        if any(type(count) is not int or count < 0 for count in counts):
            raise ValueError(f"its progress is not valid: {fields}")
        if type(progress.steps_per_epoch) is not int or progress.steps_per_epoch < 1:
            raise ValueError(f"its steps_per_epoch is {progress.steps_per_epoch!r}")
        for total, count in dict(progress.means).values():
            float(total), float(count)
        return progress
