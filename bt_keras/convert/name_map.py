"""Maps PyTorch's tensor names and layouts to Keras variables.

`map_variables` serves both directions. Its order is the order in which PyTorch
registers modules: the order of a state dict and of an optimizer's parameter indices.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from bt_keras.errors import UsageError, one_line, shown
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import BatchNormalization

_CONV = (3, 2, 0, 1)  # Keras (H, W, in, out) to PyTorch (out, in, H, W)
_DENSE = (1, 0)  # Keras (in, out) to PyTorch (out, in)
_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
# PyTorch's number of training batches of a batch norm, which is used only if its
# momentum is None. Keras has no counterpart.
COUNTER = "num_batches_tracked"

_LAYER = re.compile(r"(?:layer([1-4])_(\d+)_)?(conv|bn|downsample)_?(\d)")
_MAX_LISTED = 20


class MappedVariable(NamedTuple):
    """A Keras variable with its name and layout in PyTorch.

    Args:
        name: String, PyTorch's name.
        variable: `keras.Variable`.
        axes: Tuple of ints, the transposition from Keras's to PyTorch's layout, or
            `None` if both layouts are the same.
    """

    name: str
    variable: keras.Variable
    axes: tuple[int, ...] | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in PyTorch's layout."""
        shape = tuple(self.variable.shape)
        return tuple(shape[axis] for axis in self.axes) if self.axes else shape

    @property
    def is_parameter(self) -> bool:
        """Whether it is a parameter, as opposed to a running statistic."""
        return ".running_" not in self.name

    def to_torch(self, variable: keras.Variable | None = None) -> np.ndarray:
        """Returns the value in PyTorch's layout.

        Args:
            variable: Another variable of the same shape to return the value of, such
                as a momentum. Defaults to `None`.
        """
        array = (self.variable if variable is None else variable).numpy()
        return array.transpose(self.axes) if self.axes else array

    def assign(self, array, variable: keras.Variable | None = None) -> None:
        """Assigns a value in PyTorch's layout.

        Args:
            array: Array of numbers.
            variable: Another variable of the same shape to assign to, such as a
                momentum. Defaults to `None`.
        """
        array = np.asarray(array).astype(np.float32, copy=False)
        if self.axes:
            array = array.transpose(np.argsort(self.axes))
        (self.variable if variable is None else variable).assign(array)


def map_variables(model: keras.Model) -> list[MappedVariable]:
    """Lists the variables of a model with their PyTorch names.

    Args:
        model: A model from `bt_keras.resnet` with `features=0`, which gets
            torchvision's names, or a `bt_keras.BarlowTwins`, which gets the names of
            the official checkpoint.

    Returns:
        List of `MappedVariable`.

    Raises:
        UsageError: If the backbone or the projector has no counterpart in PyTorch.
    """
    if not isinstance(model, BarlowTwins):
        return list(_map_backbone(model, ""))
    backbone = _map_backbone(model.backbone, "backbone.")
    return [*backbone, *_map_projector(model.projector)]


def assign_weights(
    variables: list[MappedVariable],
    state: dict[str, np.ndarray],
    ignored: Sequence[str] = (),
) -> None:
    """Assigns a state dict to variables, completely or not at all.

    Args:
        variables: List of `MappedVariable`.
        state: Dict of str to NumPy array, in PyTorch's layout.
        ignored: Sequence of str, prefixes of names in `state` to ignore. Defaults to
            `()`.

    Raises:
        UsageError: If arrays are missing, unexpected or have the wrong shape. The
            message lists them.
    """
    expected = {variable.name: variable.shape for variable in variables}
    names = {name for name in state if not name.startswith(tuple(ignored))}
    problems = [f"missing {name}" for name in sorted(expected.keys() - names)]
    unexpected = sorted(names - expected.keys())
    problems += [f"unexpected {shown(name)}" for name in unexpected]
    problems += [
        f"{name} has shape {state[name].shape} instead of {shape}"
        for name, shape in expected.items()
        if name in names and state[name].shape != shape
    ]
    if problems:
        raise UsageError(
            f"the arrays do not belong to one ResNet: {join_problems(problems)}."
        )
    for variable in variables:
        variable.assign(state[variable.name])


def join_problems(problems: list[str]) -> str:
    """Joins problems into one line; abbreviates a long list."""
    more = len(problems) - _MAX_LISTED
    return "; ".join(problems[:_MAX_LISTED]) + (f" and {more} more" * (more > 0))


def as_array(name: str, value) -> np.ndarray:
    """Converts a value of a state dict to an array.

    Args:
        name: String, name of the tensor.
        value: NumPy array, or an object with `__array__`, such as a tensor. Lists are
            rejected: a pickle can nest them so that they expand to any size.

    Returns:
        NumPy array of numbers.

    Raises:
        UsageError: If it is not an array of numbers.
    """
    if isinstance(value, list | tuple | dict | set):
        kind = type(value).__name__
        raise UsageError(f"{shown(name)} is a {kind}, not an array of numbers.")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{shown(name)} is not an array ({one_line(error)})."
        ) from error
    # The bfloat16 of ml_dtypes has kind V.
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        kind = type(value).__name__ if array.dtype.kind == "O" else str(array.dtype)
        raise UsageError(f"{shown(name)} has type {kind}, not an array of numbers.")
    return array


def _map_backbone(backbone, prefix):
    layers = [layer for layer in getattr(backbone, "layers", ()) if layer.weights]
    unknown = [layer.name for layer in layers if not _LAYER.fullmatch(layer.name)]
    if unknown or not layers:
        reason = f"has a layer {unknown[0]!r}" if unknown else "has no layers"
        raise UsageError(
            f"the backbone {backbone.name!r} {reason}: only backbones from "
            "bt_keras.resnet with features=0 (config.backbone.features) can be "
            "converted."
        )
    for layer in sorted(layers, key=_registration_order):
        # layer1_0_downsample_0 -> layer1.0.downsample.0
        name = prefix + layer.name.replace("_", ".")
        if isinstance(layer, BatchNormalization):
            yield from _map_batch_norm(layer, name)
        else:
            yield MappedVariable(f"{name}.weight", layer.kernel, _CONV)


def _registration_order(layer):
    """Sort key: conv1, bn1, conv2, ..., downsample.0, .1, as torchvision registers."""
    stage, block, kind, number = _LAYER.fullmatch(layer.name).groups("0")
    position = (int(stage), int(block))
    if kind == "downsample":
        return (*position, True, int(number), 0)
    return (*position, False, int(number), kind == "bn")


def _map_projector(projector):
    # Linear, BatchNorm, ReLU, Linear, ...: PyTorch's indices include the ReLUs.
    for index, layer in enumerate(getattr(projector, "layers", ())):
        name = f"projector.{index}"
        if isinstance(layer, BatchNormalization):
            yield from _map_batch_norm(layer, name)
        elif isinstance(layer, keras.layers.Dense) and not layer.use_bias:
            yield MappedVariable(f"{name}.weight", layer.kernel, _DENSE)
        elif not isinstance(layer, keras.layers.ReLU):
            raise UsageError(
                f"the projector's layer {layer.name!r} has no counterpart in the "
                "official code: only a projector given as widths can be converted."
            )


def _map_batch_norm(layer, name):
    for theirs, ours in _BATCH_NORM.items():
        yield MappedVariable(f"{name}.{theirs}", getattr(layer, ours), None)
