"""How far a run has come: all that goes on with it besides the model's own variables.

Images and views are functions of the seed and the number of the batch (`data.pairs`),
so that a number is enough to find the place in the data again.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Progress:
    """The place of a run between two steps.

    Args:
        steps_per_epoch: int > 0.
        step: int >= 0, training steps done since the beginning.
        batch: int >= 0, the number of the next batch of the data. It is ahead of
            `step` by the batches that rollbacks have skipped.
        rollbacks: int >= 0, how often the run went back to a checkpoint.
        means: dict from a metric's name to `(total, count)`, what an epoch that is not
            finished has gathered.
    """

    steps_per_epoch: int
    step: int = 0
    batch: int = 0
    rollbacks: int = 0
    means: dict = dataclasses.field(default_factory=dict)

    @property
    def epoch(self):
        """int, how many epochs are finished."""
        return self.step // self.steps_per_epoch

    @property
    def step_in_epoch(self):
        """int in [0, steps_per_epoch), steps done of the epoch after those."""
        return self.step % self.steps_per_epoch

    @property
    def epochs(self):
        """str, how many epochs are done, such as "2" or "2.25"."""
        return f"{self.step / self.steps_per_epoch:.4g}"

    def after(self, steps, means=None):
        """Returns the `Progress` so many steps later, with these `means`."""
        return dataclasses.replace(
            self, step=self.step + steps, batch=self.batch + steps, means=means or {}
        )

    def past(self, batch, rollbacks):
        """Returns the `Progress` of a run that went back to here and skips data.

        Args:
            batch: int, the number of the batch to go on with.
            rollbacks: int, how often the run has gone back by now.
        """
        return dataclasses.replace(self, batch=batch, rollbacks=rollbacks)

    def to_json(self):
        """Returns a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields):
        """Returns what `to_json` was made of, or raises `TypeError`."""
        return cls(**fields)
