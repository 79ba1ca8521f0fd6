"""Weights between PyTorch's names and layouts and Keras's.

Read: torchvision's ResNets (`conv1.weight`, `layer1.0.bn1.running_mean`, ...; the
classifier `fc.*` is left out) and the official Barlow Twins checkpoint
(`backbone.*`, `projector.*`, `bn.*`, each with or without `module.` before it). One
table, `_tensors`, says which variable goes by which name; it serves both directions.
"""

from collections.abc import Mapping

import numpy as np

from bt_keras.errors import UsageError
from bt_keras.model import BarlowTwins
from bt_keras.networks import BatchNormalization, resnet
from bt_keras.networks.resnet import DEPTHS

# The weight of the redundancy term that the official checkpoints were trained with.
OFFICIAL_LAMBD = 0.0051

_CONV = (3, 2, 0, 1)  # Keras (H, W, in, out) to PyTorch (out, in, H, W)
_DENSE = (1, 0)
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def from_torch(state_dict):
    """Builds a Keras model from a PyTorch state dict.

    Depth, width, stem and the projector's widths are read off the arrays' shapes.

    Args:
        state_dict: mapping of str to NumPy array (or anything `np.asarray` takes): a
            torchvision ResNet's, the official `resnet50.pth`'s, or the official
            `checkpoint.pth`'s, whole or its `"model"` part. The affine-free last
            batch norm `bn.*` has no counterpart: its moving statistics are not
            used in training, and the loss standardises by the batch.

    Returns:
        `keras.Model` from `bt_keras.resnet` for a backbone alone, or
        `bt_keras.BarlowTwins` where there is a projector.

    Raises:
        UsageError: if the names are of neither kind, or some are missing, left over
            or of another shape; they are listed.

    Example:

    >>> backbone = bt_keras.convert.from_torch(dict(np.load("resnet50.npz")))
    """
    state = _flat(state_dict)
    prefix = "backbone." if any(name.startswith("backbone.") for name in state) else ""
    backbone = _empty_backbone(state, prefix)
    if not prefix:
        _fill(_tensors(backbone, ""), state, ignored=("fc.",))
        return backbone
    model = BarlowTwins(backbone, _projector_widths(state), lambd=OFFICIAL_LAMBD)
    _fill(_model_tensors(model), state, ignored=("bn.", "backbone.fc."))
    return model


def to_torch(model):
    """Gives a model's weights PyTorch's names and layouts.

    Args:
        model: a model from `bt_keras.resnet`, or a `bt_keras.BarlowTwins` with such
            a backbone and a projector made from widths.

    Returns:
        dict of str to NumPy array, torchvision's names or the official
        checkpoint's (without `bn.*`): what `from_torch` reads.
    """
    whole = isinstance(model, BarlowTwins)
    tensors = _model_tensors(model) if whole else _tensors(model, "")
    state = {}
    for name, variable, order in tensors:
        array = variable.numpy()
        state[name] = array.transpose(order) if order else array
    return state


def _flat(state_dict):
    if not isinstance(state_dict, Mapping):
        raise UsageError(
            "from_torch takes a mapping of names to arrays, got "
            f"{type(state_dict).__name__}."
        )
    if isinstance(state_dict.get("model"), Mapping):
        state_dict = state_dict["model"]
    names = {name.removeprefix("module."): name for name in state_dict}
    return {
        short: np.asarray(state_dict[name])
        for short, name in names.items()
        if not short.endswith("num_batches_tracked")
    }


def _empty_backbone(state, prefix):
    stem = state.get(prefix + "conv1.weight")
    if stem is None or stem.ndim != 4:
        raise UsageError(
            "these are not a ResNet's weights: there is no (out, in, height, width) "
            "array 'conv1.weight' or 'backbone.conv1.weight'; the first names are "
            f"{', '.join(sorted(state)[:3]) or '(none)'}."
        )
    block = "basic"
    if prefix + "layer1.0.conv3.weight" in state:
        block = "bottleneck"
    counts = tuple(_count_blocks(state, f"{prefix}layer{s}.") for s in (1, 2, 3, 4))
    for depth, layout in DEPTHS.items():
        if layout == (block, counts):
            stem_kind = "imagenet" if stem.shape[2] == 7 else "cifar"
            shape = (None, None, stem.shape[1])
            return resnet(depth, stem.shape[0] / 64, stem_kind, shape)
    raise UsageError(
        f"no ResNet of depth {', '.join(map(str, DEPTHS))} has {counts} {block} blocks."
    )


def _count_blocks(state, prefix):
    names = (name[len(prefix) :] for name in state if name.startswith(prefix))
    return len({name.split(".")[0] for name in names})


def _projector_widths(state):
    widths = []
    while (name := f"projector.{3 * len(widths)}.weight") in state:
        widths.append(state[name].shape[0])
    if not widths:
        raise UsageError("there is a 'backbone.' but no 'projector.0.weight'.")
    return widths


def _model_tensors(model):
    return [
        *_tensors(model.backbone, "backbone."),
        *_projector_tensors(model.projector),
    ]


def _tensors(backbone, prefix):
    """Yields (PyTorch name, Keras variable, axes to PyTorch's layout or None)."""
    for layer in backbone.layers:
        if not layer.weights:
            continue
        # layer1_0_downsample_0 -> layer1.0.downsample.0
        name = prefix + layer.name.replace("_", ".")
        if isinstance(layer, BatchNormalization):
            yield from _batch_norm_tensors(layer, name)
        else:
            yield f"{name}.weight", layer.kernel, _CONV


def _projector_tensors(projector):
    # Linear, BatchNorm, ReLU, Linear, ...: PyTorch counts the ReLUs as well.
    for index, layer in enumerate(projector.layers):
        name = f"projector.{index}"
        if isinstance(layer, BatchNormalization):
            yield from _batch_norm_tensors(layer, name)
        elif layer.weights:
            yield f"{name}.weight", layer.kernel, _DENSE


def _batch_norm_tensors(layer, name):
    for theirs, ours in _BATCH_NORM.items():
        yield f"{name}.{theirs}", getattr(layer, ours), None


def _fill(tensors, state, ignored):
    tensors = list(tensors)
    expected = {}
    for name, variable, order in tensors:
        shape = tuple(variable.shape)
        expected[name] = tuple(shape[axis] for axis in order) if order else shape
    names = {name for name in state if not name.startswith(ignored)}
    problems = [f"missing {name}" for name in sorted(expected.keys() - names)]
    problems += [f"left over {name}" for name in sorted(names - expected.keys())]
    problems += [
        f"{name} is {state[name].shape} and must be {shape}"
        for name, shape in expected.items()
        if name in names and state[name].shape != shape
    ]
    if problems:
        raise UsageError(
            f"{len(problems)} arrays do not fit the ResNet that the others describe: "
            f"{'; '.join(problems[:20])}{'; ...' if len(problems) > 20 else ''}."
        )
    for name, variable, order in tensors:
        array = state[name]
        variable.assign(array.transpose(np.argsort(order)) if order else array)
