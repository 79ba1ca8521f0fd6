"""Stop a run on a signal: between two steps, on all workers after the same step."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bt_keras import system
from bt_keras.errors import UsageError

if TYPE_CHECKING:
    import tensorflow as tf

SIGNALS = system.STOP_SIGNALS


class StopRequest:
    """Tracks whether this run was asked to stop and whether a worker failed.

    Args:
        strategy: `tf.distribute.Strategy` of the run.
        workers: Integer > 0, the number of processes that train together. Defaults to
            `1`.
    """

    def __init__(self, strategy: tf.distribute.Strategy, workers: int = 1):
        self._strategy = strategy
        self._workers = workers
        self._signal = None

    def listening(self) -> contextlib.AbstractContextManager:
        """Returns a context in which `SIGNALS` request a stop after the step."""
        return handled_by(self._note)

    def _note(self, number, _):
        self._signal = number

    def reason(self, error: UsageError | None = None) -> str | None:
        """Agrees with the other workers whether to stop now, and why.

        Every worker has to call it after the same steps: a worker without a request
        must stop together with one that has a request, or it deadlocks. With several
        workers, this takes one all-reduce of two floats.

        Args:
            error: `UsageError` that ends this worker. Defaults to `None`.

        Returns:
            String such as "SIGTERM", or `None` to continue.

        Raises:
            UsageError: `error` on this worker, and on the other workers one that
                refers to its log.
        """
        own = self._signal and signal.Signals(self._signal).name
        asked, failed = own is not None, error is not None
        if self._workers > 1:
            total = _sum_over_replicas(self._strategy)
            asked, failed = total([float(asked), float(failed)]).numpy() > 0
        if error:
            raise error
        if failed:
            raise UsageError("another worker failed; see its log.")
        return (own or "a signal to another worker") if asked else None


@functools.lru_cache(maxsize=1)  # TensorFlow warns of functions that are traced often.
def _sum_over_replicas(strategy: tf.distribute.Strategy) -> Callable:
    """Returns a function that sums two floats over all replicas."""
    import tensorflow as tf

    def summed(own):
        values = strategy.run(tf.identity, args=(own,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, values, None)

    spec = tf.TensorSpec((2,), tf.float32)
    return tf.function(summed, autograph=False, input_signature=[spec])


@contextlib.contextmanager
def handled_by(
    handler: Callable[[int, object], None], signals: Sequence[int] = SIGNALS
) -> Iterator[None]:
    """Handles signals in the main thread, and restores the previous handlers.

    A signal that is ignored stays ignored: `nohup` ignores SIGHUP, and a shell without
    job control SIGINT for a command that it starts in the background.

    Args:
        handler: Function of the number of the signal and the stack frame.
        signals: Sequence of signals. Defaults to `SIGNALS`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [n for n in signals if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            # `None` is a handler that was not installed from Python.
            signal.signal(number, signal.SIG_DFL if previous is None else previous)
