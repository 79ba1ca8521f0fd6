"""Converts the official LARS optimizer's state dict to `bt_keras.LARS` and back.

PyTorch numbers parameters by group: first those of the first group, then those of the
second. The official code puts weights (rank >= 2) into the first group, and biases and
batch norms (rank 1) into the second, each in the order of the state dict. Its first
release has a single group. Its momentum `mu` is that of `bt_keras.LARS`:

    mu <- momentum * mu + q * g,    p <- p - learning_rate * mu
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from bt_keras.convert.gradient_scale import (
    OFFICIAL_RATIO,
    parameter_groups,
    read_setting,
    scale_from_optimizer,
    scaled_weight_decay,
)
from bt_keras.convert.name_map import MappedVariable, as_array, join_problems
from bt_keras.errors import UsageError, shown
from bt_keras.optimizers import LARS

_MOMENTUM = "mu"


def build_optimizer(state: Mapping, scale: float) -> LARS:
    """Builds an optimizer with the settings of a state dict.

    Args:
        state: Mapping, the official optimizer's state dict.
        scale: Float > 0, s of `gradient_scale`.

    Returns:
        `bt_keras.LARS` with the learning rates of the last step. Settings missing in
        the state dict have the defaults of `bt_keras.LARS`.

    Raises:
        UsageError: If a setting is out of range.
    """
    weights, *others = parameter_groups(state) or [{}]
    bias_rate = read_setting(others[0] if others else weights, "lr")
    options: dict[str, Any] = {
        "learning_rate": read_setting(weights, "lr"),
        "bias_learning_rate": None if bias_rate is None else bias_rate / scale,
        "weight_decay": scaled_weight_decay(state, scale),
        "momentum": read_setting(weights, "momentum"),
        "trust_coefficient": read_setting(weights, "eta"),
    }
    return LARS(**{name: v for name, v in options.items() if v is not None})


def assign_momenta(
    model: keras.Model,
    variables: list[MappedVariable],
    state: Mapping,
    scale: float,
) -> None:
    """Assigns the momenta of a state dict to a model's optimizer, all or none.

    Args:
        model: `bt_keras.BarlowTwins`, compiled with `bt_keras.LARS`.
        variables: List of `MappedVariable`, those of the model.
        state: Mapping, the official optimizer's state dict.
        scale: Float > 0, s of `gradient_scale`.

    Raises:
        UsageError: If momenta are missing, unexpected or have the wrong shape. The
            message lists them.
    """
    found, problems = _read_momenta(variables, state)
    if problems:
        raise UsageError(
            f"the optimizer state does not fit the model: {join_problems(problems)}. "
            "To convert only the weights, pass only the checkpoint's 'model'."
        )
    momenta = _momentum_variables(model)
    for variable in _parameters(variables):
        momentum = found[variable.name]
        if len(variable.shape) == 1:
            momentum = momentum.astype(np.float32) * np.float32(scale)
        variable.assign(momentum, momenta[id(variable.variable)])


def optimizer_state(model: keras.Model, variables: list[MappedVariable]) -> dict:
    """Builds the official optimizer's state dict.

    Args:
        model: `bt_keras.BarlowTwins`, compiled with `bt_keras.LARS`.
        variables: List of `MappedVariable`, those of the model.

    Returns:
        Dict with `"state"` and `"param_groups"`.

    Raises:
        UsageError: If the optimizer is not `bt_keras.LARS`, or a layer is frozen and
            has no momentum.
    """
    momenta = _momentum_variables(model)
    frozen = [v.name for v in _parameters(variables) if id(v.variable) not in momenta]
    if frozen:
        raise UsageError(
            f"there is no momentum for frozen layers: {join_problems(frozen)}; make "
            "them trainable."
        )
    optimizer = get_lars(model)
    scale = scale_from_optimizer(optimizer)
    rate = float(np.asarray(optimizer.learning_rate))
    shared = {
        "weight_decay": optimizer.coupled_weight_decay / scale,
        "momentum": optimizer.momentum,
        "eta": optimizer.trust_coefficient,
        # Rank-1 parameters are excluded from weight decay and adaptation.
        "weight_decay_filter": True,
        "lars_adaptation_filter": True,
    }
    state: dict[int, dict] = {}
    groups = []
    for group, ratio in zip(_group(variables), (1.0, OFFICIAL_RATIO), strict=True):
        first = len(state)
        for index, variable in enumerate(group, first):
            mu = variable.to_torch(momenta[id(variable.variable)])
            mu = mu / np.float32(scale) if mu.ndim == 1 else mu
            state[index] = {_MOMENTUM: mu}
        params = list(range(first, len(state)))
        groups.append({"lr": rate * ratio, **shared, "params": params})
    return {"state": state, "param_groups": groups}


def get_lars(model: keras.Model) -> LARS:
    """Returns a model's `LARS` optimizer, unwrapped from loss scaling.

    Raises:
        UsageError: If the optimizer is not `bt_keras.LARS`.
    """
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, LARS):
        raise UsageError(
            f"the model's optimizer is {type(optimizer).__name__}: only bt_keras.LARS "
            "has a counterpart in the official checkpoint."
        )
    return optimizer


def _momentum_variables(model):
    """Maps the id of a trainable variable to the variable of its momentum."""
    pairs = zip(model.trainable_variables, get_lars(model).momenta, strict=True)
    return {id(variable): momentum for variable, momentum in pairs}


def _read_momenta(variables, state):
    """Returns (dict of name to momentum, list of problems)."""
    found, problems = {}, []
    values = state.get("state") if isinstance(state, Mapping) else None
    values = dict(values) if isinstance(values, Mapping) else {}
    groups, expected = parameter_groups(state), _group(variables)
    if len(groups) == 1:
        expected = [_parameters(variables)]
    if len(groups) != len(expected):
        problems.append(f"{len(groups)} parameter groups instead of {len(expected)}")
    for number, (members, group) in enumerate(zip(expected, groups, strict=False)):
        indices = group.get("params")
        indices = indices if isinstance(indices, list | tuple) else []
        if len(indices) != len(members):
            problems.append(
                f"{len(indices)} parameters in group {number} instead of {len(members)}"
            )
            continue
        for variable, index in zip(members, indices, strict=True):
            entry = values.pop(index, None) if type(index) is int else None
            found[variable.name], problem = _read_momentum(entry, variable)
            problems += problem
    # If a group is incomplete, the remaining momenta may be those of its parameters.
    if len(found) == sum(map(len, expected)):
        problems += [f"unexpected momentum of parameter {shown(i)}" for i in values]
    return found, problems


def _read_momentum(entry, variable):
    """Returns (array or None, list of problems)."""
    array = entry.get(_MOMENTUM) if isinstance(entry, Mapping) else None
    if array is None:
        return None, [f"missing momentum of {variable.name}"]
    try:
        array = as_array(f"mu of {variable.name}", array)
    except UsageError as error:
        return None, [str(error).rstrip(".")]
    if array.shape != variable.shape:
        return None, [
            f"momentum of {variable.name} has shape {array.shape} instead of "
            f"{variable.shape}"
        ]
    return array, []


def _parameters(variables):
    return [variable for variable in variables if variable.is_parameter]


def _group(variables):
    """Splits the parameters into the official groups: weights, and rank 1."""
    parameters = _parameters(variables)
    return (
        [variable for variable in parameters if len(variable.shape) != 1],
        [variable for variable in parameters if len(variable.shape) == 1],
    )
