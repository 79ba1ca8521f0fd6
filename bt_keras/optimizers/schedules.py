"""Learning rate schedules."""

from __future__ import annotations

import math

import keras
from keras import ops

from bt_keras import checks
from bt_keras.errors import UsageError


@keras.saving.register_keras_serializable("bt_keras")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    r"""Linear warm-up from 0 to a peak, then half a cosine down to a floor.

    With W = `warmup_steps` and T = `total_steps`:

        rate(t) = peak · t / W                                      for t < W
        rate(t) = peak · (q + (1 - q) · floor),
                  q = (1 + cos(π (t - W) / (T - W))) / 2            for W ≤ t < T
        rate(t) = peak · floor                                      for t ≥ T

    This is the schedule of the official implementation: rate(0) is 0, rate(W) is the
    peak, and the rate of the last step, T - 1, is slightly above `peak * floor`.

    Args:
        peak: Float > 0, the highest rate. In the paper 0.2 · batch / 256 for weights.
        warmup_steps: Integer >= 0. 10 epochs in the paper.
        total_steps: Integer > `warmup_steps`; includes the warm-up.
        floor: Float in [0, 1], the final rate as a fraction of the peak. Defaults to
            `1e-3`.
        name: Optional string. Defaults to `None`.

    Raises:
        UsageError: If an argument is not a number, NaN, infinite or out of range.

    Example:

    >>> schedule = bt_keras.WarmupCosine(2.0, warmup_steps=10, total_steps=100)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 55, 100)]
    [0.0, 1.0, 2.0, 1.001, 0.002]
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int,
        total_steps: int,
        floor: float = 1e-3,
        name: str | None = None,
    ):
        super().__init__()
        peak = checks.number("peak", peak, checks.POSITIVE)
        floor = checks.number("floor", floor, checks.FRACTION)
        warmup_steps = _steps("warmup_steps", warmup_steps)
        total_steps = _steps("total_steps", total_steps)
        if warmup_steps >= total_steps:
            raise UsageError(
                f"warmup_steps={warmup_steps} must be in [0, total_steps), but "
                f"total_steps is {total_steps}: train longer or warm up less."
            )
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.floor = floor
        self.name = name

    def __call__(self, step):
        """Returns the rate at `step`, an int scalar or tensor, as a float32 tensor."""
        step = ops.cast(step, "float32")
        warmup = self.peak * step / max(self.warmup_steps, 1)
        # q = cos²(x) = sin²(π/2 - x), computed from the remaining steps: near the end
        # of a run 1 + cos(π - tiny) would lose its digits to cancellation.
        remaining = ops.maximum(self.total_steps - step, 0.0)
        angle = 0.5 * math.pi * remaining / (self.total_steps - self.warmup_steps)
        q = ops.square(ops.sin(angle))
        cosine = self.peak * (q + (1.0 - q) * self.floor)
        return ops.where(step < self.warmup_steps, warmup, cosine)

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "floor": self.floor,
            "name": self.name,
        }


def _steps(name, value):
    """Returns a number of steps; a quotient of whole numbers is a float."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return checks.number(name, value, checks.WHOLE)
