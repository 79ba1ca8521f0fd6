"""Warn if training waits for images."""

from __future__ import annotations

import time

import keras
from absl import logging

# A window must also contain so many calls of the step function.
_CALLS = 10


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
        self._start_window()

    def _start_window(self) -> None:
        self._calls, self._elapsed, self._waited = 0, 0.0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._last = time.monotonic(), self.model.train_function.seconds_waited

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic(), self.model.train_function.seconds_waited
        self._calls += 1
        self._elapsed += now[0] - self._last[0]
        self._waited += now[1] - self._last[1]
        self._last = now
        if self._elapsed >= self._seconds and self._calls >= _CALLS:
            self._shares = [*self._shares[-1:], self._waited / self._elapsed]
            self._start_window()
            if not self._warned and len(self._shares) == 2:
                self._warn_if_slow(min(self._shares))

    def _warn_if_slow(self, share: float) -> None:
        if share < self._share:
            return
        self._warned = True
        print(flush=True)  # Ends the line of the progress bar.
        logging.warning(
            "%.0f %% of the training time is spent waiting for images, because the CPU "
            "prepares them too slowly. More CPU cores (config.threads, fewer runs on "
            "this machine), smaller image files, or a smaller config.views.size help; "
            "see docs/performance.md.",
            100 * share,
        )
