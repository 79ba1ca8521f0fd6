"""Means over an epoch of values that are equal on all replicas."""

from __future__ import annotations

from collections.abc import Iterable

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("bt_keras")
class ReplicatedMean(keras.metrics.Mean):
    """Mean of values that are equal on every replica.

    Reading `keras.metrics.Mean` sums its variables over replicas, which is a collective
    under several workers: a worker that reads it alone, to display or to save it,
    deadlocks. This metric is updated outside `strategy.run` and can be read anywhere.

    Args:
        **kwargs: Keyword arguments of `keras.metrics.Mean` (`name`, `dtype`).
    """

    def add_variable(self, shape, initializer, dtype=None, aggregation=None, name=None):
        return keras.Variable(
            initializer=keras.initializers.get(initializer),
            shape=shape,
            dtype=dtype,
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )


def means(*names: str) -> list[keras.metrics.Metric]:
    """Makes the means of several logs.

    Args:
        *names: Strings, the names of the logs.

    Returns:
        List of `ReplicatedMean`.
    """
    return [ReplicatedMean(name=name) for name in names]


def update_means(metrics: Iterable[keras.metrics.Metric], logs: dict) -> None:
    """Adds the logs of a step to the means of the epoch.

    Args:
        metrics: Iterable of `ReplicatedMean`. Those without a log are left out.
        logs: Dict of float32 scalars by the names of metrics.
    """
    # Packed, because TensorFlow would merge the sums of a loss and of a total into
    # one `AddN`, whose order, and so the last digit, changes from call to call.
    trackers = [tracker for tracker in metrics if tracker.name in logs]
    values = tf.unstack(tf.stack([logs[tracker.name] for tracker in trackers]))
    for tracker, value in zip(trackers, values, strict=True):
        tracker.update_state(value)
