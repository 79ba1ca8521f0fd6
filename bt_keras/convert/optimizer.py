"""The momenta of the official optimizer's state dict.

PyTorch numbers parameters: first those of the first group, then those of the second.
The official code puts weights (rank 2 and more) into the first group and biases and
batch norms (rank 1) into the second, each in the order of the state dict. Its `mu` is
what `bt_keras.LARS` keeps: mu <- momentum * mu + q * g, p <- p - rate * mu.
"""

from collections.abc import Mapping

import numpy as np

from bt_keras.convert.tensors import listed
from bt_keras.errors import UsageError
from bt_keras.optimizers import LARS

_MOMENTUM = "mu"
# Our argument's name, and the official group's.
_OPTIONS = {
    "learning_rate": "lr",
    "weight_decay": "weight_decay",
    "momentum": "momentum",
    "trust_coefficient": "eta",
}


def build(state):
    """Builds the optimizer that a state dict describes.

    Args:
        state: mapping, the official optimizer's state dict.

    Returns:
        `bt_keras.LARS` with the rates of the last step, or the official settings
        where it does not say.
    """
    groups = [group for group in _groups(state) if isinstance(group, Mapping)]
    weights, *others = groups or [{}]
    options = {ours: weights.get(theirs) for ours, theirs in _OPTIONS.items()}
    options["bias_learning_rate"] = others[0].get("lr") if others else None
    return LARS(**{name: float(v) for name, v in options.items() if _is_number(v)})


def fill(model, tensors, state):
    """Sets the momenta of a model's optimizer: all of them, or none.

    Args:
        model: `bt_keras.BarlowTwins`, compiled with `bt_keras.LARS`.
        tensors: list of `Tensor`, the model's.
        state: mapping, the official optimizer's state dict.

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
        tensor.assign(found[tensor.name], momenta[id(tensor.variable)])


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
    state, groups = {}, []
    rates = (optimizer.learning_rate, _bias_rate(optimizer))
    for rows, rate in zip(_grouped(tensors), rates, strict=True):
        first = len(state)
        for index, tensor in enumerate(rows, first):
            state[index] = {_MOMENTUM: tensor.to_torch(momenta[id(tensor.variable)])}
        group = {
            "lr": float(np.asarray(rate)),
            "weight_decay": optimizer.coupled_weight_decay,
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


def _bias_rate(optimizer):
    rate = optimizer.bias_learning_rate
    if rate is None:
        return optimizer.learning_rate
    return rate(optimizer.iterations) if callable(rate) else rate


def _found(tensors, state):
    """`(dict from a tensor's name to its momentum, list of what is wrong)`."""
    found, problems = {}, []
    values = state.get("state") if isinstance(state, Mapping) else None
    values = dict(values) if isinstance(values, Mapping) else {}
    groups, wanted = _groups(state), _grouped(tensors)
    if len(groups) != len(wanted):
        problems.append(f"{len(groups)} groups of parameters instead of {len(wanted)}")
    for number, (rows, group) in enumerate(zip(wanted, groups, strict=False)):
        indices = group.get("params") if isinstance(group, Mapping) else None
        indices = indices if isinstance(indices, list | tuple) else []
        if len(indices) != len(rows):
            problems.append(
                f"{len(indices)} parameters in group {number} instead of {len(rows)}"
            )
            continue
        for tensor, index in zip(rows, indices, strict=True):
            found[tensor.name], problem = _momentum(values.pop(index, None), tensor)
            problems += problem
    # Without all groups nobody knows whose the rest are.
    if len(found) == sum(map(len, wanted)):
        problems += [f"left over the momentum of parameter {i}" for i in values]
    return found, problems


def _momentum(values, tensor):
    """`(array or None, list of what is wrong with it)`."""
    array = values.get(_MOMENTUM) if isinstance(values, Mapping) else None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiuV":
        return None, [f"missing the momentum of {tensor.name}"]
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


def _groups(state):
    groups = state.get("param_groups") if isinstance(state, Mapping) else None
    return list(groups) if isinstance(groups, list | tuple) else []


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
