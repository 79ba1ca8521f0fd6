"""Counts the collectives of a traced training step."""

import collections

import tensorflow as tf

import bt_keras
from tests.models import pairs, tiny

BATCH = 8


def count(strategy, implementation, **kwargs):
    """Counts the `(kind, elements)` of a replica's collectives in the traced step.

    Args:
        strategy: `tf.distribute.Strategy`.
        implementation: String, that of the loss.
        **kwargs: Arguments of `tests.models.tiny`.

    Returns:
        Tuple of the model and a Counter.
    """
    with strategy.scope():
        model = tiny(implementation=implementation, **kwargs)
        model.compile(optimizer=bt_keras.LARS(0.1))
    views = strategy.experimental_distribute_dataset(pairs(1, BATCH))
    step = tf.function(lambda data: strategy.run(model.train_step, (data,)))
    graph = step.get_concrete_function(next(iter(views))).graph
    sizes = collections.Counter()
    for node in graph.get_operations():
        if node.type.startswith("Collective") and node.device.endswith("CPU:1"):
            sent = node.inputs[0]
            if sent.dtype == tf.int32:  # The shape, sent before an all-gather.
                assert sent.shape.num_elements() <= 2
                continue
            if sent.op.type == "Pad":  # To the largest number of rows of any replica.
                sent = sent.op.inputs[0]
            kind = node.type.removeprefix("Collective").removesuffix("V2")
            sizes[kind, sent.shape.num_elements()] += 1
    return model, sizes
