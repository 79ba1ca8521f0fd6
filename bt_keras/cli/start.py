"""How a command starts: quietly, and with the other workers if there are some."""

import contextlib
import os
import sys

from bt_keras.distribution import cluster as clusters
from bt_keras.distribution import rendezvous


def tensorflow():
    """Imports TensorFlow and lets it find its devices."""
    with _quietly():
        import tensorflow as tf

        tf.config.list_logical_devices()


def strategy(name, card, timeout, check):
    """Finds the other workers, if any, and makes the strategy to train under.

    Workers meet before TensorFlow starts: what is wrong with them is told at once.

    Args:
        name: str, see `bt_keras.distribution.strategies.make`.
        card: function without arguments that returns a flat dict of JSON values, what
            must be the same on all workers.
        timeout: float, seconds to wait for the other workers.
        check: function without arguments that the first worker calls when all are
            there; what `UsageError` it raises is raised on all.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        UsageError: if a worker is missing or differs, or there is no such strategy.
    """
    cluster = None
    if name in ("auto", "multi_worker"):
        with _quietly():  # Where SLURM says who takes part, TensorFlow is asked.
            cluster = clusters.from_environment()
        if cluster:
            rendezvous.meet(cluster, card(), timeout, briefing=check)
    with _quietly():
        from bt_keras.distribution import strategies

        return strategies.make(name, cluster)


@contextlib.contextmanager
def _quietly():
    """Keeps TensorFlow's start-up notices from burying the one line that matters."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow turns oneDNN off on CPUs without AVX-512, where it is faster too.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
