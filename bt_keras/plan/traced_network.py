"""What a pass through a network costs, from the graph of the pass and its gradients."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from bt_keras.plan import flops

# Operations whose output is their input.
_ALIASES = ("Identity", "Reshape", "Squeeze", "ExpandDims", "StopGradient")
# Operations that read the shape of a tensor, not its elements.
_SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")
# Their outputs of unknown size are notes of the kernel, at most a few bytes a channel.
_WITH_NOTES = ("FusedBatchNormV3",)


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of a pass of one view, forward and backward.

    Attributes:
        kept: Integer, bytes of the activations that the backward pass uses.
        copies: Integer, bytes of the weights in other dtypes that it uses.
        passed_back: Integer, the most bytes of gradients of activations at a time.
        forward: Integer, floating-point operations of the forward pass.
        backward: Integer, those of the backward pass.
        left_out: Tuple of strings, names of layers with operations or activations that
            could not be counted: their sizes are known only in the run.
    """

    kept: int
    copies: int
    passed_back: int
    forward: int
    backward: int
    left_out: tuple[str, ...] = ()


def cost(network: keras.Layer, view: Any, of_views: bool) -> Cost:
    """Traces a network and its gradients, and sums up what they need.

    Nothing is computed. What the backward pass uses is what the operations of the
    gradients read from those of the forward pass, in the dtypes that they have there.

    Args:
        network: Built `keras.Layer`, such as a backbone or a projector.
        view: Nest of `tf.TensorSpec` with all sizes, the input of the network.
        of_views: Boolean, whether the input is views, which have no gradient, rather
            than features.

    Returns:
        `Cost`.

    Example:

    >>> from bt_keras.plan import traced_network
    >>> network = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> found = traced_network.cost(network, tf.TensorSpec((2, 8)), of_views=True)
    >>> found.forward, found.backward  # 2 · 2 · 8 · 4, and as much for the kernel
    (128, 128)
    """
    first_of_backward = []

    @tf.function(autograph=False)
    def gradients(inputs):
        variables = network.trainable_variables
        with tf.GradientTape() as tape:
            sources = [] if of_views else keras.tree.flatten(inputs)
            tape.watch(sources)
            outputs = network(inputs, training=True)
        graph = tf.compat.v1.get_default_graph()
        first_of_backward.append(len(graph.get_operations()))
        return tape.gradient(outputs, [*variables, *sources])

    graph = gradients.get_concrete_function(view).graph
    operations, first = graph.get_operations(), first_of_backward[-1]
    # TensorFlow does not compute gradients that nothing needs, such as those of views.
    needed = _ancestors(graph.outputs)
    forward = operations[:first]
    backward = [each for each in operations[first:] if each.name in needed]
    kept, copies = _kept(forward, backward, of_views)
    return Cost(
        kept=sum(map(_bytes, kept)),
        copies=sum(map(_bytes, copies)),
        passed_back=_most_at_a_time(backward, graph.outputs),
        forward=sum(map(flops.of_operation, forward)),
        backward=sum(map(flops.of_operation, backward)),
        left_out=_left_out([*forward, *backward], [*kept, *copies]),
    )


def _ancestors(tensors):
    """Returns the names of the operations that tensors are computed from."""
    found, left = set(), [tensor.op for tensor in tensors]
    while left:
        operation = left.pop()
        if operation.name not in found:
            found.add(operation.name)
            left.extend(tensor.op for tensor in operation.inputs)
    return found


def _kept(forward, backward, of_views):
    """Returns the tensors of the forward pass that the backward pass reads.

    Returns:
        Two lists: the tensors that depend on the view, and those that depend on the
        weights alone, without the weights themselves.
    """
    depends, produced = set(), set()
    for operation in forward:
        is_input = operation.type == "Placeholder" and not _is_variable(operation)
        if is_input or depends & {tensor.op.name for tensor in operation.inputs}:
            depends.add(operation.name)
        produced.add(operation.name)
    read = {}
    for operation in backward:
        for tensor in operation.inputs if operation.type not in _SHAPES else ():
            source = _source(tensor)
            if source.op.name in produced:
                read[source.name] = source
    kept = [each for each in read.values() if each.op.name in depends]
    copies = [
        each
        for each in read.values()
        if each.op.name not in depends
        and each.op.type not in ("Const", "Placeholder", "ReadVariableOp")
    ]
    if of_views:  # The views are no activations.
        kept = [each for each in kept if each.op.type != "Placeholder"]
    return kept, copies


def _most_at_a_time(operations, outputs):
    """Returns the most bytes that the results of operations take at a time.

    Each result is freed after its last use. The outputs of the graph, which are
    gradients of weights, are not counted.
    """
    last_use, kept = {}, {_source(tensor).name for tensor in outputs}
    for index, operation in enumerate(operations):
        for tensor in (*operation.inputs, *operation.outputs):
            last_use[_source(tensor).name] = index
    freed = [0] * (len(operations) + 1)
    held = most = 0
    for index, operation in enumerate(operations):
        for tensor in operation.outputs:
            name = _source(tensor).name
            if name == tensor.name and name not in kept:
                held += _bytes(tensor)
                freed[last_use[name]] += _bytes(tensor)
        most = max(most, held)
        held -= freed[index]
    return most


def _left_out(operations, kept):
    """Returns the names of the layers with operations or tensors of unknown size."""
    unknown = flops.unknown(operations)
    unknown += [tensor.op for tensor in kept if _is_unknown(tensor)]
    names = (each.name.removeprefix("gradient_tape/") for each in unknown)
    # Without the operation: the scopes are those of the layers.
    return tuple(dict.fromkeys(name.rpartition("/")[0] or name for name in names))


def _is_unknown(tensor):
    """Returns whether a tensor has an unknown size; integers are indices and small."""
    if tensor.dtype == tf.variant:  # A list of tensors, from a loop.
        return True
    is_note = tensor.op.type in _WITH_NOTES
    size = tensor.shape.num_elements()
    return tensor.dtype.is_floating and size is None and not is_note


def _source(tensor):
    """Returns the tensor whose memory a tensor shares."""
    while tensor.op.type in _ALIASES:
        tensor = tensor.op.inputs[0]
    return tensor


def _is_variable(placeholder):
    return placeholder.outputs[0].dtype == tf.resource


def _bytes(tensor):
    return (tensor.shape.num_elements() or 0) * tensor.dtype.size
