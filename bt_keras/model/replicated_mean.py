"""Means over an epoch of values that are equal on all replicas."""

from __future__ import annotations

import keras


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
