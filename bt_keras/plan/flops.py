"""The number of floating-point operations of a training step, or of a network.

A multiply-add counts as two operations. Convolutions, matrix products and the loss are
counted, and no others: they are all but a few percent of a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from bt_keras.losses import cheapest_implementation, gram

_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
# The kernel and the tensor with an element for each output position and channel: inputs
# of the operation by number, or `None` for its output.
_CONVOLUTIONS = {
    "Conv2D": (1, None),
    "Conv2DBackpropInput": (1, 2),
    "Conv2DBackpropFilter": (None, 2),
    "Conv3D": (1, None),
    "Conv3DBackpropInputV2": (1, 2),
    "Conv3DBackpropFilterV2": (None, 2),
    "DepthwiseConv2dNative": (1, None),
    "DepthwiseConv2dNativeBackpropInput": (1, 2),
    "DepthwiseConv2dNativeBackpropFilter": (None, 2),
}
_RECURRENT = ("CudnnRNN",)  # Beginnings of the names of fused layers.


def of_operation(operation: tf.Operation) -> int:
    """Counts the operations of a convolution or matrix product of a graph.

    Args:
        operation: `tf.Operation` whose shapes are known.

    Returns:
        Integer; 0 for any other operation, or if the shapes are not known.

    Example:

    >>> from bt_keras.plan import flops
    >>> graph = tf.Graph()
    >>> with graph.as_default():
    ...     y = tf.zeros([2, 3]) @ tf.zeros([3, 5])
    >>> flops.of_operation(y.op)
    60
    """
    count = _count(operation) if operation.type in _COUNTED else None
    return count or 0


def multiply_adds(network: keras.Layer, inputs: Any) -> int | None:
    """Counts the multiply-adds of a pass through a network, in inference.

    Args:
        network: Built `keras.Layer`, such as a backbone.
        inputs: Nest of `tf.TensorSpec` with all sizes, the input of the network.

    Returns:
        Integer, or `None` if an operation cannot be counted.

    Example:

    >>> from bt_keras.plan import flops
    >>> network = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
    >>> flops.multiply_adds(network, tf.TensorSpec((2, 8)))
    64
    """

    @tf.function(autograph=False)
    def features(values):
        return network(values, training=False)

    operations = features.get_concrete_function(inputs).graph.get_operations()
    if unknown(operations):
        return None
    return sum(map(of_operation, operations)) // 2


def unknown(operations: Sequence[tf.Operation]) -> list[tf.Operation]:
    """Finds the operations that `of_operation` should count and cannot.

    The shapes of a convolution or product may be unknown, or it is inside a loop or
    another function of the graph, as in recurrent layers.

    Args:
        operations: Sequence of `tf.Operation`s of a graph.

    Returns:
        List of `tf.Operation`s.

    Example:

    >>> from bt_keras.plan import flops
    >>> @tf.function
    ... def product(x):
    ...     return x @ tf.ones([3, 5])
    >>> graph = product.get_concrete_function(tf.TensorSpec([None, 3])).graph
    >>> [each.type for each in flops.unknown(graph.get_operations())]
    ['MatMul']
    """
    calls = {each.name: _called(each.node_def) for each in operations}
    functions = {}
    if any(calls.values()):
        library = operations[0].graph.as_graph_def().library
        functions = {each.signature.name: each for each in library.function}

    def is_unknown(operation):
        if operation.type in _COUNTED:
            return _count(operation) is None
        is_recurrent = operation.type.startswith(_RECURRENT)
        return is_recurrent or _has_products(calls[operation.name], functions)

    return [each for each in operations if is_unknown(each)]


def _called(node):
    """Returns the names of the functions that a `NodeDef` calls."""
    values = node.attr.values()
    functions = [f for value in values for f in (value.func, *value.list.func)]
    return {function.name for function in functions if function.name}


def _has_products(names, functions):
    """Returns whether functions have products, or those that they call."""
    seen, left = set(), list(names)
    while left:
        name = left.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            if node.op in _COUNTED or node.op.startswith(_RECURRENT):
                return True
            left.extend(_called(node))
    return False


def of_loss(
    rows: int, width: int, implementation: str = "auto", strips: bool = True
) -> int:
    """Counts the operations of the loss, forward and backward, over all replicas.

    Gram matrices take 8N²D operations, or 6.5N²D where five eighths of the symmetric
    matrices are computed; the cross-correlation takes 6ND².

    Args:
        rows: Integer, the images N of the global batch.
        width: Integer, the width D of the embeddings.
        implementation: See `bt_keras.barlow_twins_loss`. Defaults to `"auto"`.
        strips: Boolean, whether a large Gram matrix is computed in strips, as on one
            CPU. Defaults to `True`.

    Returns:
        Integer.

    Example:

    >>> from bt_keras.plan import flops
    >>> flops.of_loss(256, 8192) == 8 * 256**2 * 8192
    True
    """
    if implementation == "auto":
        implementation = cheapest_implementation(rows, width)
    if implementation == "correlation":
        return 6 * rows * width**2
    in_strips = strips and rows >= gram.NUM_STRIPS * gram.MIN_STRIP_ROWS
    computed = 5 / 8 if in_strips else 1
    return round((4 * computed + 4) * rows**2 * width)


def _count(operation):
    if operation.type == "Einsum":
        return _of_einsum(operation)
    if operation.type in _PRODUCTS:
        return _of_product(operation)
    kernel, positions = (
        _shape(operation.outputs[0] if index is None else operation.inputs[index])
        for index in _CONVOLUTIONS[operation.type]
    )
    if kernel is None or positions is None:
        return None
    depthwise = operation.type.startswith("Depthwise")
    per_position = math.prod(kernel[: -2 if depthwise else -1])
    return 2 * per_position * math.prod(positions)


def _of_product(operation):
    left, output = _shape(operation.inputs[0]), _shape(operation.outputs[0])
    if left is None or output is None:
        return None
    transposed = "transpose_a" if operation.type == "MatMul" else "adj_x"
    inner = left[-2 if operation.get_attr(transposed) else -1]
    return 2 * inner * math.prod(output)


def _of_einsum(operation):
    """Counts a product by its indices."""
    terms = operation.get_attr("equation").decode().partition("->")[0].split(",")
    shapes = [_shape(tensor) for tensor in operation.inputs]
    if len(terms) < 2:  # Moves or sums elements.
        return 0
    if None in shapes:
        return None
    sizes = {}
    for term, shape in zip(terms, shapes, strict=True):
        for index, size in zip(_indices(term, len(shape)), shape, strict=True):
            sizes[index] = max(size, sizes.get(index, 1))
    return 2 * math.prod(sizes.values())


def _indices(term, rank):
    """Returns a term's letters, and numbers from the right for those of an ellipsis."""
    before, _, after = term.partition("...")
    return [*before, *range(len(before) + len(after) - rank, 0), *after]


def _shape(tensor):
    """Returns the sizes of a tensor, or `None` if one is not known."""
    shape = tensor.shape
    return tuple(shape) if shape.is_fully_defined() else None


_COUNTED = {*_PRODUCTS, *_CONVOLUTIONS, "Einsum"}
