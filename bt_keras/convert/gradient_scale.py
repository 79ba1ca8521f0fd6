"""Settings of the official optimizer, and the scale of its gradients.

The official code's gradients are smaller than ours by a factor s: g_file = g / s. LARS
normalizes the gradients of weights, so that s affects the rest only: momenta of rank-1
parameters are s times the file's, their learning rate is the file's divided by s, and
the weight decay is s times the file's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bt_keras.errors import UsageError
from bt_keras.optimizers import LARS

# Learning rate of biases over that of weights in the official code.
OFFICIAL_RATIO = 0.0048 / 0.2
# The number of GPUs of the official training. Gradients are divided by it.
_OFFICIAL_REPLICAS = 16
# The factor on the loss in the first release, which has a single learning rate.
_LOSS_SCALE = 0.024


def scale_from_replicas(state: Mapping, replicas: int) -> float:
    """Computes s from how a checkpoint was trained.

    Args:
        state: Mapping, the official optimizer's state dict.
        replicas: Integer > 0, the number of GPUs of that training.

    Returns:
        Float, s.

    Raises:
        UsageError: If `replicas` is not positive.
    """
    if not replicas > 0:
        raise UsageError(f"replicas={replicas!r} must be greater than 0.")
    return replicas / (_LOSS_SCALE if len(parameter_groups(state)) == 1 else 1)


def scale_from_rates(state: Mapping, ratio: float) -> float:
    """Computes s so that a checkpoint's bias rate equals ours.

    s is the checkpoint's ratio of learning rates over ours: 16 for configs/default.py,
    and 667 if the checkpoint has a single rate, since its loss was multiplied by 0.024.

    Args:
        state: Mapping, the official optimizer's state dict.
        ratio: Float > 0, our learning rate of biases over that of weights.

    Returns:
        Float, s.

    Raises:
        UsageError: If the ratio of the checkpoint's learning rates is not positive.
    """
    rates = [read_setting(group, "lr") for group in parameter_groups(state)]
    if len(rates) == 1:
        return 1 / ratio
    has_ratio = len(rates) == 2 and all(rates)
    scale = (rates[1] / rates[0] if has_ratio else OFFICIAL_RATIO) / ratio
    if not 0 < scale < math.inf:
        raise UsageError(
            "the ratio of the optimizer's learning rates ('lr') must be finite and "
            "greater than 0."
        )
    return scale


def scale_from_optimizer(optimizer: LARS) -> float:
    """Computes s from the learning rates of a `bt_keras.LARS` optimizer."""
    rate = float(np.asarray(optimizer.learning_rate))
    bias_rate = float(np.asarray(optimizer.current_bias_rate()))
    # With warmup, both rates are 0 before the first step.
    has_ratio = bias_rate and rate
    return OFFICIAL_RATIO / (bias_rate / rate) if has_ratio else _OFFICIAL_REPLICAS


def scaled_weight_decay(state: Mapping, scale: float) -> float | None:
    """Returns a checkpoint's weight decay for our gradients, `None` if missing."""
    decay = read_setting((parameter_groups(state) or [{}])[0], "weight_decay")
    return None if decay is None else decay * scale


def parameter_groups(state) -> list[Mapping]:
    """Returns the parameter groups of an optimizer's state dict."""
    groups = state.get("param_groups") if isinstance(state, Mapping) else None
    groups = groups if isinstance(groups, list | tuple) else []
    return [group if isinstance(group, Mapping) else {} for group in groups]


def read_setting(group: Mapping, name: str) -> float | None:
    """Reads a numeric setting of a parameter group.

    Args:
        group: Mapping, one parameter group.
        name: String, such as `"lr"`.

    Returns:
        Float, or `None` if the group has no such number.

    Raises:
        UsageError: If the number is negative, infinite or NaN.
    """
    value = group.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise UsageError(f"the optimizer's {name!r} must be finite and not negative.")
    return number
