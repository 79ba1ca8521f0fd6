"""Means over an epoch of what all replicas agree on."""

import keras


@keras.saving.register_keras_serializable("bt_keras")
class ReplicatedMean(keras.metrics.Mean):
    """A mean of values that are the same on every replica.

    Keras's own adds up what each replica has gathered whenever it is read, which under
    several workers is a collective: a worker that reads it alone, to show or to save
    it, waits in vain. This one is updated outside `strategy.run`, and read anywhere.

    Args:
        **kwargs: of `keras.metrics.Mean` (`name`, `dtype`).
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
