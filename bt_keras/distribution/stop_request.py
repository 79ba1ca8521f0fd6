"""Stopping when asked to: between two steps, on all workers at the same one."""

import contextlib
import functools
import signal
import threading

from bt_keras.errors import StoppedError, UsageError

# What schedulers send before they take a machine away.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


@contextlib.contextmanager
def stopping_at_once():
    """Lets `SIGNALS` raise a `StoppedError`, where there is nothing yet to save."""

    def stop(number, _):
        raise StoppedError(
            f"stopped by {signal.Signals(number).name} outside the training steps; the "
            "same command goes on from the last checkpoint, if there is one"
        )

    with _handled_by(stop):
        yield


class StopRequest:
    """Whether this run has been asked to stop, and whether all its workers are well.

    Args:
        strategy: `tf.distribute.Strategy` of the run.
        workers: int, how many processes train together.
    """

    def __init__(self, strategy, workers=1):
        self._strategy = strategy
        self._workers = workers
        self._signal = None

    def listening(self):
        """A context that takes `SIGNALS` as requests to stop after the step."""
        return _handled_by(self._note)

    def _note(self, number, _):
        self._signal = number

    def reason(self, error=None):
        """Whether to stop now, and why.

        Every worker has to call it after the same steps: one that was not asked must
        stop together with one that was, or it would wait for it in vain. That takes one
        sum of two floats over the replicas, with several workers alone.

        Args:
            error: optional `UsageError` that this worker has to end with.

        Returns:
            str, such as "SIGTERM"; None to go on.

        Raises:
            UsageError: `error`; on the other workers one that points to it.
        """
        own = self._signal and signal.Signals(self._signal).name
        asked, failed = own is not None, error is not None
        if self._workers > 1:
            asked, failed = self._votes([float(asked), float(failed)]).numpy() > 0
        if error:
            raise error
        if failed:
            raise UsageError("another worker cannot go on: see what it says.")
        return (own or "a signal to another worker") if asked else None

    @functools.cached_property
    def _votes(self):
        """Sums floats over all replicas."""
        import tensorflow as tf

        def summed(own):
            everyone = self._strategy.run(tf.identity, args=(own,))
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, everyone, None)

        spec = tf.TensorSpec((2,), tf.float32)
        return tf.function(summed, autograph=False, input_signature=[spec])


@contextlib.contextmanager
def _handled_by(handler):
    """Handles `SIGNALS`, where this is the main thread; what was before comes back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
