"""Settings in the official optimizer's groups, and the size of its gradients.

They are smaller than ours, g_file = g / s. LARS normalises those of weights, and what
is left of s is: mu of rank 1 is s times the file's, the rate of rank 1 is the file's
/ s, and the weight decay is s times the file's.
"""

import math
from collections.abc import Mapping

import numpy as np

from bt_keras.errors import UsageError

# The official rate of biases over that of weights.
OFFICIAL_RATIO = 0.0048 / 0.2
_REPLICAS = 16  # Which divide its gradients.
# What the first release, with one rate for all, multiplied its loss by.
_LOSS_SCALE = 0.024


def scale_of(state, replicas):
    """Returns by how much smaller a file's gradients are, from what made it.

    Args:
        state: mapping, the official optimizer's state dict.
        replicas: int > 0, its number of GPUs.
    """
    if not replicas > 0:
        raise UsageError(f"replicas={replicas!r} must be greater than 0.")
    return replicas / (_LOSS_SCALE if len(groups_of(state)) == 1 else 1)


def scale_for(state, ratio):
    """Returns by how much smaller a file's gradients are, from the rates.

    With rates of biases that do the same, s is the file's ratio of rates over ours:
    16 for configs/default.py, and 667 where the file has one rate for all, its loss
    having been multiplied by 0.024.

    Args:
        state: mapping, the official optimizer's state dict.
        ratio: float > 0, our rate of biases over that of weights.
    """
    rates = [number(group, "lr") for group in groups_of(state)]
    if len(rates) == 1:
        return 1 / ratio
    known = len(rates) == 2 and all(rates)
    scale = (rates[1] / rates[0] if known else OFFICIAL_RATIO) / ratio
    if not 0 < scale < math.inf:
        raise UsageError("the optimizer's rates, 'lr', are not those of a training.")
    return scale


def scale_back(optimizer):
    """Returns by how much smaller the official gradients are, from a `LARS`' rates."""
    rate = float(np.asarray(optimizer.learning_rate))
    bias_rate = float(np.asarray(optimizer.current_bias_rate()))
    # They are 0 before the first step, and say nothing.
    return OFFICIAL_RATIO / (bias_rate / rate) if bias_rate and rate else _REPLICAS


def weight_decay(state, scale):
    """Returns the decay of a file in units of our gradients, a float, or None."""
    decay = number((groups_of(state) or [{}])[0], "weight_decay")
    return None if decay is None else decay * scale


def groups_of(state):
    """Returns list of mappings, the groups of an optimizer's state dict."""
    groups = state.get("param_groups") if isinstance(state, Mapping) else None
    groups = groups if isinstance(groups, list | tuple) else []
    return [group if isinstance(group, Mapping) else {} for group in groups]


def number(group, name):
    """Returns a group's setting as a float, or None where it does not say."""
    value = group.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not 0 <= result < math.inf:
        raise UsageError(f"the optimizer's {name!r} is not one of a training.")
    return result
