"""The maps that detection and segmentation build on: one a stride of the network."""

import keras

from bt_keras.errors import UsageError

# A side that every stride up to 32 divides.
_SIDE = 256
_MOST_MAPS = 4


def feature_maps(backbone):
    """Finds the maps at a backbone's coarsest strides, by its graph.

    A map stands for its stride if all that comes later comes from it alone (so that it
    is the sum at the end of a residual block, never a tensor within one) and no later
    map of this stride does; a padded map, whose sides are no whole fraction of the
    image's, does not count.

    Args:
        backbone: `keras.Model`, images (N, H, W, C) to features.

    Returns:
        dict from stride, int in pixels, to `KerasTensor` (N, H / stride, W / stride,
        channels) of the backbone's graph: the four coarsest strides, finest first. For
        ResNets 4, 8, 16 and 32, with the CIFAR stem 1, 2, 4 and 8. Empty for a
        backbone without a graph (a subclass of `keras.Model`) or without such maps.

    Example:

    >>> maps = feature_maps(bt_keras.resnet(50))
    >>> {stride: tensor.shape[-1] for stride, tensor in maps.items()}
    {4: 256, 8: 512, 16: 1024, 32: 2048}
    """
    nodes = _nodes(backbone)
    maps = [t for t in _bottlenecks(nodes) if len(getattr(t, "shape", ())) == 4]
    by_stride = {}
    for tensor, stride in zip(maps, _strides(backbone, maps), strict=True):
        if stride:
            by_stride[stride] = tensor
    return {stride: by_stride[stride] for stride in sorted(by_stride)[-_MOST_MAPS:]}


def _nodes(backbone):
    """`(inputs, output)` of every operation, in an order in which they can be run."""
    # Not its layers: a sum written with `+` is an operation, and no layer.
    operations = getattr(backbone, "operations", [])
    # A model inside of the model keeps its graph to itself.
    if any(isinstance(operation, keras.Model) for operation in operations):
        return []
    nodes = []
    try:
        for operation in operations:
            if not isinstance(operation, keras.layers.InputLayer):
                nodes.append((keras.tree.flatten(operation.input), operation.output))
    # Keras says so of those that are called more than once.
    except (AttributeError, ValueError):
        return []
    return nodes


def _bottlenecks(nodes):
    """Yields the outputs that nothing passes by, in their order."""
    last_use = {}
    for index, (inputs, _) in enumerate(nodes):
        last_use.update({id(tensor): index for tensor in inputs})
    # Up to where a tensor from before the one at hand is still needed.
    needed = max((last_use[id(t)] for t in nodes[0][0]), default=0) if nodes else 0
    for index, (_, output) in enumerate(nodes):
        if needed <= index:
            yield output
        needed = max(needed, last_use.get(id(output), index))


def _strides(backbone, maps):
    """The stride of every map, None where it is no whole number or not of both axes."""
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


def feature_dim(backbone):
    """Finds the width of a backbone's features without running it.

    Args:
        backbone: a built `keras.Model` or layer, images to features (N, F).

    Returns:
        int, F.

    Raises:
        UsageError: if it is not built, or gives something else than (N, F).
    """
    shape = _output_shape(backbone) if backbone.built else None
    if shape is None:
        raise UsageError(
            f"the backbone {backbone.name!r} is not built: call it on a batch of "
            "images first, or give it an Input of its own, such as "
            "keras.Sequential([keras.Input((32, 32, 3)), backbone])."
        )
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise UsageError(
            f"the backbone {backbone.name!r} gives {shape}, but it must give "
            "features (N, F): add keras.layers.GlobalAveragePooling2D() or "
            'pooling="avg".'
        )
    return shape[1]


def _output_shape(backbone):
    try:
        return backbone.output_shape
    except AttributeError:  # A subclass of keras.Model: let Keras trace its call.
        images = keras.KerasTensor((None, 64, 64, 3))
        return tuple(backbone.compute_output_spec(images).shape)
