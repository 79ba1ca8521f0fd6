"""Warn if training waits for images."""

from __future__ import annotations

import time
from typing import Any

import keras
from absl import logging

# A window must also contain so many calls of the step function.
_CALLS = 10


class StepTimes:
    """Counts the seconds of training steps, and those in which they wait for data.

    The time between epochs does not count: call `start` at the beginning of each one,
    and `add` after each call of the step function.
    """

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Starts from 0."""
        self.calls, self.seconds, self.waited = 0, 0.0, 0.0

    def start(self, step_function: Any) -> None:
        """Starts the clock of an epoch.

        Args:
            step_function: `model.train_function`, with its `seconds_waited`.
        """
        self._last = time.monotonic(), step_function.seconds_waited

    def add(self, step_function: Any) -> None:
        """Adds the time since the last call of `start` or `add`.

        Args:
            step_function: `model.train_function`.
        """
        now = time.monotonic(), step_function.seconds_waited
        self.calls += 1
        self.seconds += now[0] - self._last[0]
        self.waited += now[1] - self._last[1]
        self._last = now

    @property
    def share(self) -> float:
        """Float in [0, 1], the share of the time in which steps wait for data."""
        return self.waited / self.seconds if self.seconds else 0.0


class InputWatch(keras.callbacks.Callback):
    """Warns once if the steps wait for the input pipeline.

    The time is counted in windows, without the time between epochs. A warning needs
    two slow windows in succession: at the start of `fit` the pipeline is always slow,
    and later it may be slow for a moment.

    Args:
        share: Float in (0, 1), the share of the time from which a window is slow.
            Defaults to `0.3`.
        seconds: Float > 0, the length of a window. Defaults to `30.0`.
    """

    def __init__(self, share: float = 0.3, seconds: float = 30.0):
        super().__init__()
        self._share = share
        self._seconds = seconds
        self._warned = False
        self._shares: list[float] = []  # Of the last two windows.
        self._times = StepTimes()

    def on_epoch_begin(self, epoch, logs=None):
        self._times.start(self.model.train_function)

    def on_train_batch_end(self, batch, logs=None):
        times = self._times
        times.add(self.model.train_function)
        if times.seconds >= self._seconds and times.calls >= _CALLS:
            self._shares = [*self._shares[-1:], times.share]
            times.reset()
            if not self._warned and len(self._shares) == 2:
                self._warn_if_slow(min(self._shares))

    def _warn_if_slow(self, share: float) -> None:
        if share < self._share:
            return
        self._warned = True
        print(flush=True)  # Ends the line of the progress bar.
        logging.warning(
            "%.0f %% of the training time is spent waiting for images, because the CPU "
            "prepares them too slowly. More CPU cores, fewer runs on this machine, "
            "smaller image files, or smaller views help (in bt-keras pretrain: "
            "config.threads, config.views.size); see docs/performance.md.",
            100 * share,
        )
