"""Learning-rate schedules."""

import math

import keras
from keras import ops

from bt_keras.errors import UsageError


@keras.saving.register_keras_serializable("bt_keras")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    r"""Linear warm-up from 0, then a half cosine down to a floor, step by step.

    With W warm-up steps of T in all:

        rate(t) = peak · t / W                                      for t < W
        rate(t) = peak · (q + (1 - q) · floor),
                  q = (1 + cos(π (t - W) / (T - W))) / 2            from W on

    as the official implementation has it: rate(0) is 0, rate(W) is the peak, and
    the last step, T - 1, still lies a little above `peak * floor`, where the rate
    stays from T on.

    Args:
        peak: float > 0, the highest rate; 0.2 · batch / 256 for the weights and
            0.0048 · batch / 256 for biases and batch norm in the paper.
        warmup_steps: int >= 0; 10 epochs in the paper.
        total_steps: int > warmup_steps, the warm-up included.
        floor: float in [0, 1], the last rate as a fraction of the peak.
        name: optional str.

    Raises:
        UsageError: for values outside these ranges.

    Example:

    >>> schedule = bt_keras.WarmupCosine(1.6, warmup_steps=10, total_steps=100)
    >>> float(schedule(5))
    0.8
    """

    def __init__(self, peak, warmup_steps, total_steps, floor=1e-3, name=None):
        super().__init__()
        if not peak > 0:
            raise UsageError(f"peak={peak} must be greater than 0.")
        if not 0 <= warmup_steps < total_steps:
            raise UsageError(
                f"warmup_steps={warmup_steps} must lie in [0, total_steps), and "
                f"total_steps is {total_steps}: train for longer or warm up less."
            )
        if not 0 <= floor <= 1:
            raise UsageError(f"floor={floor} is a fraction of the peak, in [0, 1].")
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.floor = floor
        self.name = name

    def __call__(self, step):
        step = ops.cast(step, "float32")
        warmup = self.peak * step / max(self.warmup_steps, 1)
        # q = cos²(x) = sin²(π/2 - x): written from the end of the run, so that the
        # last rates keep their digits where 1 + cos(π - tiny) would lose them.
        left = ops.maximum(self.total_steps - step, 0.0)
        angle = 0.5 * math.pi * left / (self.total_steps - self.warmup_steps)
        q = ops.square(ops.sin(angle))
        cosine = self.peak * (q + (1.0 - q) * self.floor)
        return ops.where(step < self.warmup_steps, warmup, cosine)

    def get_config(self):
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "floor": self.floor,
            "name": self.name,
        }
