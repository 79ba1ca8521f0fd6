"""Layers that rescale images at the input of a network."""

from __future__ import annotations

import keras

from bt_keras.networks import graph

_RESCALING = (keras.layers.Normalization, keras.layers.Rescaling)


def input_rescaling(network: keras.Model) -> keras.Layer | None:
    """Returns the last of the rescaling layers at the input, `None` without any.

    Args:
        network: `keras.Model`. Those without a graph are not looked into.

    Example:

    >>> import keras
    >>> from bt_keras.networks.rescaling import input_rescaling
    >>> layers = keras.layers.Rescaling(1 / 255, name="to_one"), keras.layers.Flatten()
    >>> input_rescaling(keras.Sequential([keras.Input((8, 8, 3)), *layers])).name
    'to_one'
    """
    found = None
    # Other models have no graph.
    nodes = graph.own_nodes(network) if getattr(network, "outputs", None) else []
    rescaled = set()
    for node in nodes:
        inputs = node.input_tensors
        if not all(graph.producer(t).is_input or id(t) in rescaled for t in inputs):
            continue
        layer = node.operation
        if isinstance(layer, keras.Model):
            found = input_rescaling(layer) or found
        elif isinstance(layer, _RESCALING):
            found = layer
            rescaled |= {id(tensor) for tensor in node.output_tensors}
    return found
