"""A copy of a network whose weights follow those of the original."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class MovingAverage(keras.layers.Layer):
    """The exponential moving average of the weights of a backbone and a projector.

    It has variables of its own, none of them trainable, and runs the original layers
    with them. Layers stay as they are: neither their moving statistics nor their
    seeds change. Moving statistics are averaged like weights.

    Args:
        *parts: Built `keras.Layer`s, which are called one after the other.

    Attributes:
        updates: Integer `keras.Variable`, how often `move` was called.
    """

    def __init__(self, *parts: keras.Layer):
        super().__init__(name="moving_average", dtype="float32")
        self._find_parts = lambda: parts  # Keras would track and save them here, too.
        settings = {"trainable": False, "aggregation": "only_first_replica"}
        self.updates = self.add_weight(
            shape=(), initializer="zeros", dtype="int64", name="updates", **settings
        )
        for number, original in enumerate(self._originals()):
            self.add_weight(
                shape=original.shape,
                initializer="zeros",
                dtype=original.dtype,
                # The layers cast them.
                autocast=False,
                name=f"average_{number}",
                **settings,
            ).assign(tf.convert_to_tensor(original))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> tf.Tensor:
        """Passes inputs of the first part through all parts.

        Args:
            inputs: What the first part takes.
            training: Boolean, whether batch norm uses the statistics of the batch.
                Defaults to `False`.

        Returns:
            Tensor, the output of the last part.
        """
        pairs = zip(self._originals(), self._averages(), strict=True)
        values = {id(original): average for original, average in pairs}
        for part in self._find_parts():
            trainable, others = (
                [values.get(id(variable), variable) for variable in variables]
                for variables in (
                    part.trainable_variables,
                    part.non_trainable_variables,
                )
            )
            inputs, _ = part.stateless_call(
                trainable, others, inputs, training=training
            )
        return inputs

    def begin(self) -> None:
        """Copies the originals before the first step; later it changes nothing."""
        is_first = tf.equal(tf.convert_to_tensor(self.updates), 0)
        for average, original in zip(self._averages(), self._originals(), strict=True):
            tensors = map(tf.convert_to_tensor, (original, average))
            average.assign(tf.where(is_first, *tensors))

    def move(self, momentum: tf.Tensor) -> None:
        """Moves the averages: `average = momentum average + (1 - momentum) original`.

        Args:
            momentum: Float32 scalar in [0, 1].
        """
        for average, original in zip(self._averages(), self._originals(), strict=True):
            new, old = map(tf.convert_to_tensor, (original, average))
            share = tf.cast(momentum, old.dtype)
            average.assign(share * old + (1 - share) * new)
        self.updates.assign(tf.convert_to_tensor(self.updates) + 1)

    def _originals(self):
        """Returns what is averaged, in a fixed order, whether it is frozen or not."""
        weights = [weight for part in self._find_parts() for weight in part.weights]
        return [w for w in weights if tf.as_dtype(w.dtype).is_floating]

    def _averages(self):
        return [weight for weight in self.weights if weight is not self.updates]
