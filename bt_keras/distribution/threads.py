"""The number of CPU threads of this process: several runs may share a machine."""

from __future__ import annotations

import os

import tensorflow as tf
from absl import logging

_limit = 0  # No limit.


def limit(count: int) -> None:
    """Limits the threads of TensorFlow's operations and, apart, of input pipelines.

    TensorFlow can be limited before its first operation only. Afterwards there is a
    warning, and only new input pipelines are limited.

    Args:
        count: Integer >= 0, the number of threads of each; 0 for TensorFlow's default,
            one for each core.
    """
    global _limit
    _limit = count
    if not count:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(count)
    except RuntimeError:
        logging.warning(
            "config.threads is %d, but TensorFlow has already started with another "
            "number: only the input pipeline is limited. Start the run before any "
            "other operation of TensorFlow.",
            count,
        )


def count() -> int:
    """Returns the number of threads to use: the limit, or one for each core."""
    return _limit or os.cpu_count() or 1


def limited(options: tf.data.Options) -> tf.data.Options:
    """Applies the limit, if there is one, to the options of an input pipeline.

    Without it, every pipeline shares a pool of one thread for each core, which
    TensorFlow's own settings do not affect.

    Args:
        options: `tf.data.Options`, which are changed.

    Returns:
        The same `tf.data.Options`.
    """
    if _limit:
        options.threading.private_threadpool_size = _limit
        options.autotune.cpu_budget = _limit
    return options
