"""Start TensorFlow for a command, and join the other workers if there are any."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bt_keras.distribution import cluster as clusters
from bt_keras.distribution import rendezvous

if TYPE_CHECKING:
    import tensorflow as tf

# Packages that Keras imports if they are installed, which takes a second, for parts of
# it that no command uses: wrappers for scikit-learn, and its own plots. For these parts
# they are then not installed in the whole process.
_NOT_FOR_KERAS = ("sklearn", "matplotlib")


def tensorflow(num_threads: int = 0, devices: bool = True) -> None:
    """Imports TensorFlow and initializes its devices.

    Args:
        num_threads: Integer >= 0, as for `strategy`. Defaults to `0`.
        devices: Boolean. With `False`, the devices are left alone until an operation
            needs one, as those of other processes that train. Defaults to `True`.
    """
    with _quietly():
        import tensorflow as tf

        from bt_keras.distribution import threads

        threads.limit(num_threads)  # The devices start TensorFlow.
        if devices:
            tf.config.list_logical_devices()


def local_strategy(name: str, num_threads: int = 0) -> tf.distribute.Strategy:
    """Creates a strategy for the devices of this process.

    Args:
        name: String, see `bt_keras.distribution.strategies.make`.
        num_threads: Integer >= 0, as for `strategy`. Defaults to `0`.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        UsageError: If this machine lacks the devices.
    """
    tensorflow(num_threads)
    with _quietly():
        from bt_keras.distribution import strategies

        return strategies.make(name)


def strategy(
    name: str,
    settings: Callable[[], dict],
    timeout: float,
    start_check: Callable[[], None],
    num_threads: int = 0,
) -> tf.distribute.Strategy:
    """Joins the other workers, if there are any, and creates the strategy.

    The workers meet before TensorFlow starts, so that invalid settings are reported
    at once.

    Args:
        name: String, see `bt_keras.distribution.strategies.make`.
        settings: Function without arguments that returns a flat dict of JSON values
            that must be equal on all workers.
        timeout: Float >= 0, seconds to wait for the other workers.
        start_check: Function without arguments that the chief calls when all workers
            are connected. A `UsageError` that it raises is raised on all workers.
        num_threads: Integer >= 0, see `bt_keras.distribution.threads.limit`. Defaults
            to `0`.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        UsageError: If a worker is missing, if its settings differ, or if there is no
            such strategy.
    """
    cluster = None
    if name in ("auto", "multi_worker"):
        with _quietly():  # For a SLURM job, TensorFlow lists the workers.
            cluster = clusters.from_environment()
        if cluster:
            rendezvous.meet(cluster, settings(), timeout, start_check)
    with _quietly():
        from bt_keras.distribution import strategies, threads

        threads.limit(num_threads)  # A strategy starts TensorFlow.
        return strategies.make(name, cluster)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hides TensorFlow's start-up messages on stderr; imports only what is needed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # On CPUs without AVX-512, TensorFlow turns oneDNN off, although it is faster there.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    sys.stderr.flush()
    stderr, devnull = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        with without(_NOT_FOR_KERAS):
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)


@contextlib.contextmanager
def without(packages: Sequence[str]) -> Iterator[None]:
    """Makes imports of packages fail that are not imported yet, as if not installed."""
    hidden = [name for name in packages if name not in sys.modules]
    # What Python's documentation of `sys.modules` describes to prevent an import.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name) is None:
                sys.modules.pop(name, None)
