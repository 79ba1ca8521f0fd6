"""The inputs that a network takes: a tensor, or a nest of tensors."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def input_specs(network: keras.Model | keras.Layer) -> Any:
    """Returns the structure, shapes and dtypes of the inputs of a network.

    Args:
        network: Built `keras.Model` or layer.

    Returns:
        `tf.TensorSpec`, or a nest of them (dicts, lists, tuples), whose first axis, the
        batch, has any size. They are those of a functional or sequential model;
        otherwise those of the call that built the network, in its compute dtype.
        `None` if the network does not know them.

    Example:

    >>> from bt_keras.networks import input_specs
    >>> input_specs(bt_keras.resnet(18, width=0.125))
    TensorSpec(shape=(None, None, None, 3), dtype=tf.float32, name='images')
    """
    if has_graph(network):
        is_sequential = isinstance(network, keras.Sequential)
        tensors = network.inputs if is_sequential else network.input
        if isinstance(tensors, (list, tuple)) and len(tensors) == 1:
            (tensors,) = tensors  # Keras accepts it without the list, too.
        return keras.tree.map_structure(
            lambda t: _spec(t.shape, t.dtype, t.name), tensors
        )
    config = network.get_build_config() or {}
    # Networks whose `call` has several arguments have several shapes.
    shapes = config.get("input_shape")
    if shapes is None:
        return None
    return _specs_of_shapes(shapes, network.compute_dtype)


def has_graph(network: keras.Model | keras.Layer) -> bool:
    """Returns whether a network is a functional or sequential model that is built."""
    return bool(getattr(network, "inputs", None))


def symbolic(specs: Any) -> Any:
    """Returns new inputs of a functional model.

    Args:
        specs: Nest of `tf.TensorSpec`, see `input_specs`.

    Returns:
        The same nest of `KerasTensor`s.
    """
    return keras.tree.map_structure(
        lambda spec: keras.Input(
            batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=spec.name
        ),
        specs,
    )


def as_model(network: keras.Model | keras.Layer) -> keras.Model:
    """Returns a functional or sequential model with the weights of a network.

    Args:
        network: Built `keras.Model` or layer.

    Returns:
        The network itself if it has a graph, or if its inputs are not known.
    """
    specs = None if has_graph(network) else input_specs(network)
    if specs is None:
        return network
    inputs = symbolic(specs)
    return keras.Model(inputs, network(inputs), name=network.name)


def _specs_of_shapes(shapes, dtype, name=None):
    """Returns specs in plain dicts, lists and tuples: Keras wraps its attributes."""
    if isinstance(shapes, dict):
        # Keras warns if a tensor has another name than its key.
        return {key: _specs_of_shapes(each, dtype, key) for key, each in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return _spec(shapes, dtype, name)
    return [_specs_of_shapes(each, dtype) for each in shapes]


def _spec(shape, dtype, name):
    return tf.TensorSpec((None, *tuple(shape)[1:]), dtype, name)
