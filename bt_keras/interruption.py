"""Stopping when asked to: between two steps, on all workers at the same one."""

import contextlib
import functools
import signal
import threading

import tensorflow as tf

# What schedulers send before they take a machine away.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether this run has been asked to stop.

    Args:
        strategy: `tf.distribute.Strategy` of the run.
        workers: int, how many processes train together.
    """

    def __init__(self, strategy, workers=1):
        self._strategy = strategy
        self._workers = workers
        self._signal = None

    @contextlib.contextmanager
    def listening(self):
        """Takes `SIGNALS` as requests, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number, _):
        self._signal = number

    def reason(self):
        """Whether to stop now, and why.

        Every worker has to call it after the same steps: one that was not asked must
        stop together with one that was, or it would wait for it in vain.

        Returns:
            str, such as "SIGTERM"; None to go on.
        """
        if self._workers == 1:
            return self._signal and signal.Signals(self._signal).name
        if not float(self._requests(tf.constant(float(self._signal is not None)))):
            return None
        own = self._signal and signal.Signals(self._signal).name
        return own or "a signal to another worker"

    @functools.cached_property
    def _requests(self):
        """Sums a float over all replicas."""

        def summed(x):
            everyone = self._strategy.run(lambda own: own, args=(x,))
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, everyone, None)

        return tf.function(summed, autograph=False)
