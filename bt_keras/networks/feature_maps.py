"""Feature width and feature maps of a backbone, inferred without running it."""

from __future__ import annotations

import keras

from bt_keras.errors import UsageError
from bt_keras.networks import graph
from bt_keras.networks.input_specs import input_specs

# A side length that all strides up to 32 divide.
_SIDE = 256
_MAX_MAPS = 4


def feature_dim(backbone: keras.Model | keras.Layer) -> int:
    """Returns the width of a backbone's features.

    Args:
        backbone: Built `keras.Model` or layer from any inputs to features (N, F).

    Returns:
        Integer, F.

    Raises:
        UsageError: If the backbone is not built, or its output is not (N, F).

    Example:

    >>> from bt_keras.networks import feature_dim
    >>> feature_dim(bt_keras.resnet(18, width=0.125))
    64
    """
    shape = _output_shape(backbone) if backbone.built else None
    if shape is None:
        raise UsageError(
            f"the backbone {backbone.name!r} is not built: call it on a batch "
            "first, or give it an Input of its own, such as "
            "keras.Sequential([keras.Input((32, 32, 3)), backbone])."
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise UsageError(
            f"the backbone {backbone.name!r} returns {shape}, but it must return "
            f"features (N, F): {_pooling_advice(shape)}."
        )
    return shape[1]


def _pooling_advice(shape):
    if isinstance(shape, tuple) and len(shape) in (3, 4, 5):
        layer = f"keras.layers.GlobalAveragePooling{len(shape) - 2}D()"
        return f'add {layer} or pooling="avg"' if len(shape) == 4 else f"add {layer}"
    return "return one tensor of two axes, such as that of a keras.layers.Dense"


def _output_shape(backbone):
    try:
        return backbone.output_shape
    except AttributeError:  # A subclass of keras.Model: let Keras trace its call.
        specs = input_specs(backbone)
        if specs is None:
            return None
        inputs = keras.tree.map_structure(
            lambda spec: keras.KerasTensor(tuple(spec.shape), spec.dtype.name), specs
        )
        return tuple(backbone.compute_output_spec(inputs).shape)


def feature_maps(backbone: keras.Model) -> dict[int, keras.KerasTensor]:
    """Finds the feature maps that detection and segmentation use, one per stride.

    A tensor qualifies if all later tensors depend on it alone, so that it is the sum
    at the end of a residual block and not a tensor inside the block. The last
    qualifying tensor of a stride is the map of the stride. Maps with padded sides, to
    which the image's sides have no whole ratio, are skipped.

    Args:
        backbone: `keras.Model` from images (N, H, W, C) to features.

    Returns:
        Dict from stride, int in pixels, to `KerasTensor` (N, H / stride, W / stride,
        channels) of the backbone's graph, for the four largest strides in ascending
        order: 4, 8, 16 and 32 for ResNets, with the CIFAR stem 1, 2, 4 and 8. The last
        one is what the backbone pools: with `features`, those of the 1x1 convolution
        after the last stage. Empty for a backbone without a graph (a subclass of
        `keras.Model`) or without such maps.

    Example:

    >>> from bt_keras.networks import feature_maps
    >>> maps = feature_maps(bt_keras.resnet(18, width=0.125))
    >>> {stride: tensor.shape[-1] for stride, tensor in maps.items()}
    {4: 8, 8: 16, 16: 32, 32: 64}
    """
    nodes = _nodes(backbone)
    maps = [t for t in _bottlenecks(nodes) if len(getattr(t, "shape", ())) == 4]
    by_stride = {}
    for tensor, stride in zip(maps, _strides(backbone, maps), strict=True):
        if stride:
            by_stride[stride] = tensor
    return {stride: by_stride[stride] for stride in sorted(by_stride)[-_MAX_MAPS:]}


def _nodes(backbone):
    """Returns `(inputs, output)` of every operation, in topological order."""
    # Operations, not layers: a sum written with `+` is an operation, but no layer.
    operations = getattr(backbone, "operations", [])
    # The graph of a nested model is not part of this graph.
    if not operations or any(isinstance(each, keras.Model) for each in operations):
        return []
    nodes = graph.own_nodes(backbone)
    return [
        (node.input_tensors, output) for node in nodes for output in node.output_tensors
    ]


def _bottlenecks(nodes):
    """Yields, in order, the outputs that no connection bypasses."""
    last_use = {}
    for index, (inputs, _) in enumerate(nodes):
        last_use.update({id(tensor): index for tensor in inputs})
    # The last node that uses a tensor from before the current one.
    needed = max((last_use[id(t)] for t in nodes[0][0]), default=0) if nodes else 0
    for index, (_, output) in enumerate(nodes):
        if needed <= index:
            yield output
        needed = max(needed, last_use.get(id(output), index))


def _strides(backbone, maps):
    """Returns the stride of every map, `None` if it is not one whole number."""
    if not maps:
        return []
    shape = (1, *(side or _SIDE for side in backbone.input_shape[1:]))
    traced = keras.Function(backbone.inputs, maps)
    outputs = traced.compute_output_spec([keras.KerasTensor(shape)])
    strides = []
    for output in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
        ratios = {
            image / side
            for image, side in zip(shape[1:3], output.shape[1:3], strict=True)
        }
        ratio = ratios.pop()
        strides.append(int(ratio) if not ratios and ratio.is_integer() else None)
    return strides
