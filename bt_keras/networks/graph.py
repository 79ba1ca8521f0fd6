"""The operations of a functional model."""

from __future__ import annotations

import keras


def own_nodes(model: keras.Model) -> list:
    """Returns the calls of operations that a functional model consists of.

    A layer can belong to several models, and `layer.output` is its output in the first
    of them. These nodes are those of the given model.

    Args:
        model: Functional `keras.Model`.

    Returns:
        List of Keras's nodes in topological order, without those of the inputs. A node
        has an `operation`, `input_tensors` and `output_tensors`.
    """
    nodes, seen = [], set()
    stack = [(tensor, False) for tensor in model.outputs]
    while stack:
        tensor, inputs_are_done = stack.pop()
        node = producer(tensor)
        if inputs_are_done:
            nodes.append(node)
        elif id(node) not in seen and not node.is_input:
            seen.add(id(node))
            stack.append((tensor, True))
            stack.extend((each, False) for each in node.input_tensors)
    return nodes


def producer(tensor: keras.KerasTensor):
    """Returns the node whose output a symbolic tensor is."""
    # No public name gives it (Keras 3.8 to 3.15).
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]
