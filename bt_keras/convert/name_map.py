"""The table of tensors: PyTorch's name, Keras's variable, and the axes between them.

One table, `of_model`, serves both directions. Its order is that in which PyTorch
registers modules, which is the order of a state dict and of an optimizer's indices.
"""

import re
from typing import NamedTuple

import keras
import numpy as np

from bt_keras.errors import UsageError, one_line, shown
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import BatchNormalization

_CONV = (3, 2, 0, 1)  # Keras (H, W, in, out) to PyTorch (out, in, H, W)
_DENSE = (1, 0)
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# PyTorch's count of the batches a batch norm has seen. With a fixed momentum, as here,
# nothing reads it.
COUNTER = "num_batches_tracked"

_LAYER = re.compile(r"(?:layer([1-4])_(\d+)_)?(conv|bn|downsample)_?(\d)")
_MOST_LISTED = 20


class Tensor(NamedTuple):
    """One row of the table.

    Args:
        name: str, PyTorch's.
        variable: `keras.Variable`.
        axes: tuple of ints, the transposition to PyTorch's layout, or None for none.
    """

    name: str
    variable: keras.Variable
    axes: tuple | None

    @property
    def shape(self):
        """tuple of ints, in PyTorch's layout."""
        shape = tuple(self.variable.shape)
        return tuple(shape[axis] for axis in self.axes) if self.axes else shape

    @property
    def is_parameter(self):
        """bool, False for running statistics."""
        return ".running_" not in self.name

    def to_torch(self, variable=None):
        """Returns the value, or that of a `variable` of the same shape, as an array."""
        array = (self.variable if variable is None else variable).numpy()
        return array.transpose(self.axes) if self.axes else array

    def assign(self, array, variable=None):
        """Sets the variable, or another one of the same shape, from PyTorch's."""
        array = np.asarray(array).astype(np.float32, copy=False)
        if self.axes:
            array = array.transpose(np.argsort(self.axes))
        (self.variable if variable is None else variable).assign(array)


def of_model(model):
    """Lists the tensors of a model.

    Args:
        model: a model from `bt_keras.resnet`, whose names are torchvision's, or a
            `bt_keras.BarlowTwins`, whose names are the official checkpoint's.

    Returns:
        list of `Tensor`.

    Raises:
        UsageError: if the backbone or the projector is of another kind.
    """
    if not isinstance(model, BarlowTwins):
        return list(_of_backbone(model, ""))
    backbone = _of_backbone(model.backbone, "backbone.")
    return [*backbone, *_of_projector(model.projector)]


def fill(tensors, state, ignored=()):
    """Sets variables from a state dict: all of them, or none.

    Args:
        tensors: list of `Tensor`.
        state: dict of str to NumPy array, in PyTorch's layout.
        ignored: tuple of str, beginnings of names that may be left over.

    Raises:
        UsageError: if names are missing, left over or of another shape; they are
            listed.
    """
    expected = {tensor.name: tensor.shape for tensor in tensors}
    names = {name for name in state if not name.startswith(tuple(ignored))}
    problems = [f"missing {name}" for name in sorted(expected.keys() - names)]
    left = sorted(names - expected.keys())
    problems += [f"left over {shown(name)}" for name in left]
    problems += [
        f"{name} is {state[name].shape} and must be {shape}"
        for name, shape in expected.items()
        if name in names and state[name].shape != shape
    ]
    if problems:
        raise UsageError(
            f"{len(problems)} arrays do not fit the ResNet that the others describe: "
            f"{listed(problems)}."
        )
    for tensor in tensors:
        tensor.assign(state[tensor.name])


def listed(problems):
    """Returns str, the first of these problems in one line."""
    more = len(problems) - _MOST_LISTED
    return "; ".join(problems[:_MOST_LISTED]) + (f" and {more} more" * (more > 0))


def as_array(name, value):
    """Makes an array of what a state dict holds.

    Args:
        name: str, of the tensor.
        value: NumPy array, or what has an `__array__`, such as a tensor; not lists,
            which may stand for more numbers than there is room for.

    Returns:
        NumPy array of numbers.

    Raises:
        UsageError: if it is none.
    """
    if isinstance(value, list | tuple | dict | set):
        kind = type(value).__name__
        raise UsageError(f"{shown(name)} is of {kind}, not an array of numbers.")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{shown(name)} is not an array ({one_line(error)})."
        ) from error
    # ml_dtypes' bfloat16 is of kind V.
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        kind = type(value).__name__ if array.dtype.kind == "O" else array.dtype
        raise UsageError(f"{shown(name)} is of {kind}, not an array of numbers.")
    return array


def _of_backbone(backbone, prefix):
    layers = [layer for layer in getattr(backbone, "layers", ()) if layer.weights]
    strange = [layer.name for layer in layers if not _LAYER.fullmatch(layer.name)]
    if strange or not layers:
        raise UsageError(
            f"the backbone {backbone.name!r} is not one of bt_keras.resnet, whose "
            "names PyTorch shares"
            + (f": it has a layer {strange[0]!r}." if strange else ".")
        )
    for layer in sorted(layers, key=_registration):
        # layer1_0_downsample_0 -> layer1.0.downsample.0
        name = prefix + layer.name.replace("_", ".")
        if isinstance(layer, BatchNormalization):
            yield from _of_batch_norm(layer, name)
        else:
            yield Tensor(f"{name}.weight", layer.kernel, _CONV)


def _registration(layer):
    """Sorts as torchvision registers: conv1, bn1, conv2, ..., downsample.0, .1."""
    stage, block, kind, number = _LAYER.fullmatch(layer.name).groups("0")
    place = (int(stage), int(block))
    if kind == "downsample":
        return (*place, True, int(number), 0)
    return (*place, False, int(number), kind == "bn")


def _of_projector(projector):
    # Linear, BatchNorm, ReLU, Linear, ...: PyTorch counts the ReLUs as well.
    for index, layer in enumerate(getattr(projector, "layers", ())):
        name = f"projector.{index}"
        if isinstance(layer, BatchNormalization):
            yield from _of_batch_norm(layer, name)
        elif isinstance(layer, keras.layers.Dense) and not layer.use_bias:
            yield Tensor(f"{name}.weight", layer.kernel, _DENSE)
        elif not isinstance(layer, keras.layers.ReLU):
            raise UsageError(
                f"the projector's layer {layer.name!r} has no counterpart in the "
                "official code: only one made from widths can be converted."
            )


def _of_batch_norm(layer, name):
    for theirs, ours in _BATCH_NORM.items():
        yield Tensor(f"{name}.{theirs}", getattr(layer, ours), None)
