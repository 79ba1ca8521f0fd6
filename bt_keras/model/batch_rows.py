"""Checks the rows of a batch whose size is known only when it arrives.

The checks are outside the compiled step: XLA removes assertions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from bt_keras.errors import UsageError
from bt_keras.networks import BatchNormalization

TOO_FEW = (
    "a batch of the dataset has fewer than 2 examples, but the cross-correlation is "
    "computed along the batch and needs at least 2: batch the dataset with "
    "drop_remainder=True."
)
# Without apostrophes, which TensorFlow escapes.
_INDIVISIBLE = (
    "microbatches={} does not divide the rows of a batch on each replica into parts "
    "of at least {}: choose a divisor of it, or batch the dataset with "
    "drop_remainder=True."
)


class RowCheck:
    """Checks the rows of the elements of a dataset before a step uses them.

    Args:
        model: `bt_keras.BarlowTwins`, with its strategy.
        microbatches: Integer > 0, the number of parts of a replica's rows.
    """

    def __init__(self, model, microbatches: int):
        self._strategy = model.distribute_strategy
        self._microbatches = microbatches
        # Batch norm, over all replicas, needs 2 rows of every part.
        two = self._strategy.num_replicas_in_sync == 1 and any(
            isinstance(layer, (BatchNormalization, keras.layers.BatchNormalization))
            for layer in model._flatten_layers()
        )
        self._least = 2 if two else 1
        self._indivisible = _INDIVISIBLE.format(microbatches, self._least)

    def __call__(self, data):
        """Returns an element of the dataset, which is used only after the check.

        Args:
            data: What the iterator of the strategy gives.

        Raises:
            UsageError: If the numbers of rows are known and do not fit. Otherwise a
                graph raises `InvalidArgumentError`, see `usage_errors`.
        """
        first = tf.nest.flatten(data)[0] if tf.nest.flatten(data) else None
        shards = self._strategy.experimental_local_results(first)
        # The rows of `augmentation.Crops` are those of their images.
        shards = [getattr(shard, "images", shard) for shard in shards]
        if not all(_has_rows(shard) for shard in shards):
            return data  # `unpack_element` reports what is not a view.
        rows = [shard.shape[0] for shard in shards]
        if None not in rows:
            for valid, message in self._conditions(rows):
                if not valid:
                    raise UsageError(message)
            return data
        rows = [tf.shape(shard)[0] for shard in shards]
        assertions = [
            tf.debugging.Assert(valid, [text]) for valid, text in self._conditions(rows)
        ]
        with tf.control_dependencies([a for a in assertions if a is not None]):
            return tf.nest.map_structure(_identity, data, expand_composites=True)

    def _conditions(self, rows):
        """Yields every condition, a bool or a tensor, and the message if it fails."""
        # Other workers may have more rows.
        if len(rows) == self._strategy.num_replicas_in_sync:
            yield sum(rows) >= 2, TOO_FEW
        if self._microbatches > 1:
            for count in rows:
                yield count % self._microbatches == 0, self._indivisible
                yield count // self._microbatches >= self._least, self._indivisible

    @contextlib.contextmanager
    def usage_errors(self) -> Iterator[None]:
        """Raises `UsageError` for the assertions that fail in a graph."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            for message in (TOO_FEW, self._indivisible):
                if message in str(error):
                    raise UsageError(message) from None
            raise


def _has_rows(shard) -> bool:
    return tf.is_tensor(shard) and shard.shape.rank is not None and shard.shape.rank > 0


def _identity(tensor: tf.Tensor) -> tf.Tensor:
    if not tf.is_tensor(tensor) or tf.executing_eagerly():
        return tensor
    # On the device of its replica.
    with tf.device(tensor.device):
        return tf.identity(tensor)
