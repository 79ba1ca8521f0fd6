"""The momenta of the official optimizer's state dict.

PyTorch numbers parameters: first those of the first group, then those of the second.
The official code puts weights (rank 2 and more) into the first group and biases and
batch norms (rank 1) into the second, each in the order of the state dict; its first
release had all in one group. Its `mu` is what `bt_keras.LARS` keeps:
mu <- momentum * mu + q * g, p <- p - rate * mu.
"""

from collections.abc import Mapping

import numpy as np

from bt_keras.convert.gradient_scale import (
    OFFICIAL_RATIO,
    groups_of,
    number,
    scale_back,
    weight_decay,
)
from bt_keras.convert.name_map import as_array, listed
from bt_keras.errors import UsageError, shown
from bt_keras.optimizers import LARS

_MOMENTUM = "mu"


def build(state, scale):
    """Builds the optimizer that a state dict describes.

    Args:
        state: mapping, the official optimizer's state dict.
        scale: float > 0, by how much smaller its gradients are.

    Returns:
        `bt_keras.LARS` with the rates of the last step, or the official settings
        where it does not say.
    """
    weights, *others = groups_of(state) or [{}]
    bias_rate = number(others[0] if others else weights, "lr")
    options = {
        "learning_rate": number(weights, "lr"),
        "bias_learning_rate": None if bias_rate is None else bias_rate / scale,
        "weight_decay": weight_decay(state, scale),
        "momentum": number(weights, "momentum"),
        "trust_coefficient": number(weights, "eta"),
    }
    return LARS(**{name: v for name, v in options.items() if v is not None})


def fill(model, tensors, state, scale):
    """Sets the momenta of a model's optimizer: all of them, or none.

    Args:
        model: `bt_keras.BarlowTwins`, compiled with `bt_keras.LARS`.
        tensors: list of `Tensor`, the model's.
        state: mapping, the official optimizer's state dict.
        scale: float > 0, by how much smaller its gradients are.

    Raises:
        UsageError: if momenta are missing, left over or of another shape; they are
            listed.
    """
    found, problems = _found(tensors, state)
    if problems:
        raise UsageError(
            f"the optimizer's state does not fit the model: {listed(problems)}. To "
            "convert the weights alone, pass the checkpoint's 'model' alone."
        )
    momenta = _momenta(model)
    for tensor in _parameters(tensors):
        momentum = found[tensor.name]
        if len(tensor.shape) == 1:
            momentum = momentum.astype(np.float32) * np.float32(scale)
        tensor.assign(momentum, momenta[id(tensor.variable)])


def to_torch(model, tensors):
    """Writes the official optimizer's state dict.

    Args:
        model: `bt_keras.BarlowTwins`, compiled with `bt_keras.LARS`.
        tensors: list of `Tensor`, the model's.

    Returns:
        dict with `"state"` and `"param_groups"`.

    Raises:
        UsageError: if the optimizer is another, or a layer is frozen and has none.
    """
    momenta = _momenta(model)
    frozen = [t.name for t in _parameters(tensors) if id(t.variable) not in momenta]
    if frozen:
        raise UsageError(f"there is no momentum of frozen layers: {listed(frozen)}.")
    optimizer = lars(model)
    rate, scale = float(np.asarray(optimizer.learning_rate)), scale_back(optimizer)
    state, groups = {}, []
    for rows, ratio in zip(_grouped(tensors), (1.0, OFFICIAL_RATIO), strict=True):
        first = len(state)
        for index, tensor in enumerate(rows, first):
            mu = tensor.to_torch(momenta[id(tensor.variable)])
            mu = mu / np.float32(scale) if mu.ndim == 1 else mu
            state[index] = {_MOMENTUM: mu}
        group = {
            "lr": rate * ratio,
            "weight_decay": optimizer.coupled_weight_decay / scale,
            "momentum": optimizer.momentum,
            "eta": optimizer.trust_coefficient,
            # Rank 1 takes neither decay nor adaptation.
            "weight_decay_filter": True,
            "lars_adaptation_filter": True,
        }
        groups.append({**group, "params": list(range(first, len(state)))})
    return {"state": state, "param_groups": groups}


def lars(model):
    """Returns a model's `LARS`, also from under a loss scale, or raises UsageError."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(optimizer, LARS):
        raise UsageError(
            f"the model's optimizer is {type(optimizer).__name__}, and only those of "
            "bt_keras.LARS have a place in the official checkpoint."
        )
    return optimizer


def _momenta(model):
    pairs = zip(model.trainable_variables, lars(model).momenta, strict=True)
    return {id(variable): momentum for variable, momentum in pairs}


def _found(tensors, state):
    """`(dict from a tensor's name to its momentum, list of what is wrong)`."""
    found, problems = {}, []
    values = state.get("state") if isinstance(state, Mapping) else None
    values = dict(values) if isinstance(values, Mapping) else {}
    groups, wanted = groups_of(state), _grouped(tensors)
    if len(groups) == 1:
        wanted = [_parameters(tensors)]
    if len(groups) != len(wanted):
        problems.append(f"{len(groups)} groups of parameters instead of {len(wanted)}")
    for place, (rows, group) in enumerate(zip(wanted, groups, strict=False)):
        indices = group.get("params")
        indices = indices if isinstance(indices, list | tuple) else []
        if len(indices) != len(rows):
            problems.append(
                f"{len(indices)} parameters in group {place} instead of {len(rows)}"
            )
            continue
        for tensor, index in zip(rows, indices, strict=True):
            entry = values.pop(index, None) if type(index) is int else None
            found[tensor.name], problem = _momentum(entry, tensor)
            problems += problem
    # Without all groups nobody knows whose the rest are.
    if len(found) == sum(map(len, wanted)):
        problems += [f"left over the momentum of parameter {shown(i)}" for i in values]
    return found, problems


def _momentum(values, tensor):
    """`(array or None, list of what is wrong with it)`."""
    array = values.get(_MOMENTUM) if isinstance(values, Mapping) else None
    if array is None:
        return None, [f"missing the momentum of {tensor.name}"]
    try:
        array = as_array(f"mu of {tensor.name}", array)
    except UsageError as error:
        return None, [str(error).rstrip(".")]
    if array.shape != tensor.shape:
        return None, [
            f"the momentum of {tensor.name} is {array.shape} and must be {tensor.shape}"
        ]
    return array, []


def _parameters(tensors):
    return [tensor for tensor in tensors if tensor.is_parameter]


def _grouped(tensors):
    rows = _parameters(tensors)
    return (
        [tensor for tensor in rows if len(tensor.shape) != 1],
        [tensor for tensor in rows if len(tensor.shape) == 1],
    )
