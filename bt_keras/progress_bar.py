"""Progress bars of Keras for steps that take long, on terminals only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import keras

_DELAY = 5.0  # seconds
_Item = TypeVar("_Item")


class ProgressBar:
    """A bar on stdout that appears when a step has taken 5 seconds.

    Nothing is printed by shorter steps, or if stdout is not a terminal. As a context
    manager, it ends its line at the end.

    Args:
        title: String, what is being done; printed above the bar.
        total: Integer, the number of units, or `None` if it is unknown.
        unit: String, the name of a unit. Defaults to `"batch"`.

    Example:

    >>> from bt_keras.progress_bar import ProgressBar
    >>> with ProgressBar("features", total=2) as bar:
    ...     bar.advance()
    """

    def __init__(self, title: str, total: int | None, unit: str = "batch"):
        self._title = title
        self._total = total
        self._bar = None
        if sys.stdout and sys.stdout.isatty():
            self._bar = keras.utils.Progbar(total, unit_name=unit)
        self._start = time.monotonic()
        self._done = 0
        self._is_open = False

    def advance(self) -> None:
        """Counts one unit."""
        self._done += 1
        if not self._bar or time.monotonic() - self._start < _DELAY:
            return
        if not self._is_open:
            print(f"{self._title}:", flush=True)
        # Keras ends the line of a bar that is full.
        self._is_open = self._done != self._total
        self._bar.update(self._done)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Ends the line of a bar that is not full."""
        if self._is_open:
            print(flush=True)
        self._is_open = False


def track(
    items: Iterable[_Item], title: str, total: int | None, unit: str = "batch"
) -> Iterator[_Item]:
    """Yields the items; a `ProgressBar` counts those that are done.

    Args:
        items: Iterable.
        title: String, as for `ProgressBar`.
        total: Integer or `None`, as for `ProgressBar`.
        unit: String, as for `ProgressBar`. Defaults to `"batch"`.

    Example:

    >>> from bt_keras.progress_bar import track
    >>> list(track("abc", "letters", total=3))
    ['a', 'b', 'c']
    """
    with ProgressBar(title, total, unit) as bar:
        for item in items:
            yield item
            bar.advance()


class FitProgress(keras.callbacks.Callback):
    """A `ProgressBar` for `fit` over all epochs, or for `evaluate`.

    Args:
        title: String, as for `ProgressBar`.
    """

    def __init__(self, title: str):
        super().__init__()
        self._title = title
        self._bar: ProgressBar | None = None

    def on_train_begin(self, logs=None):
        steps, epochs = self.params["steps"], self.params["epochs"]
        self._begin(steps and steps * epochs)

    def on_test_begin(self, logs=None):
        self._begin(self.params["steps"])

    def on_train_batch_end(self, batch, logs=None):
        self._bar.advance()

    def on_test_batch_end(self, batch, logs=None):
        self._bar.advance()

    def on_train_end(self, logs=None):
        self._bar.close()

    def on_test_end(self, logs=None):
        self._bar.close()

    def _begin(self, total):
        self._bar = ProgressBar(self._title, total, "step")
