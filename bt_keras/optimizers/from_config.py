"""Build the optimizer and the learning-rate schedule that a config describes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
from ml_collections import ConfigDict

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.optimizers.lars import LARS
from bt_keras.optimizers.schedules import WarmupCosine

_REFERENCE_BATCH = 256  # The batch size that the learning rates of a config are for.


def build(config: ConfigDict, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a config.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        steps_per_epoch: Integer > 0, training steps per epoch.

    Returns:
        Keras optimizer whose learning rates follow `schedule`.

    Raises:
        UsageError: If neither this project nor Keras has the optimizer, or if it does
            not accept the options.
    """
    settings = config.optimizer
    rate = schedule(config, settings.learning_rate, steps_per_epoch)
    options = {"learning_rate": rate, **settings.options}
    if settings.name == "lars":
        optimizer, bias_rate = LARS, settings.bias_learning_rate
        options["bias_learning_rate"] = schedule(config, bias_rate, steps_per_epoch)
    else:
        optimizer = _keras_optimizer(settings.name)
    _check_options(optimizer, settings.options)
    try:
        return optimizer(**options)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"config.optimizer.options do not fit {settings.name!r} ({error}): set "
            "them to that optimizer's arguments in a config file, as "
            "configs/demo_adamw.py does."
        ) from error


def schedule(config: ConfigDict, rate: float, steps_per_epoch: int) -> WarmupCosine:
    """Builds the schedule of a learning rate; its peak is `rate * batch_size / 256`.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        rate: Float > 0, the peak learning rate for a batch size of 256.
        steps_per_epoch: Integer > 0, training steps per epoch.

    Returns:
        `WarmupCosine` over all steps of the run.
    """
    return WarmupCosine(
        peak=rate * config.batch_size / _REFERENCE_BATCH,
        warmup_steps=round(config.optimizer.warmup_epochs * steps_per_epoch),
        total_steps=config.epochs * steps_per_epoch,
        floor=config.optimizer.floor,
    )


def _check_options(optimizer: type, options: Mapping[str, Any]) -> None:
    """Checks the types of the options: Keras's optimizers fail in their first step."""
    parameters = inspect.signature(optimizer).parameters
    for name, value in options.items():
        default = parameters[name].default if name in parameters else None
        if isinstance(default, bool):
            valid, kind = isinstance(value, bool), "True or False"
        elif isinstance(default, (int, float)):
            valid, kind = checks.FINITE.accepts(value), str(checks.FINITE)
        else:
            valid = not isinstance(value, (bool, str)) or isinstance(default, str)
            valid, kind = valid or name in ("name", "use_ema"), "a number or None"
        if not valid:
            raise UsageError(
                f"config.optimizer.options.{name} is {checks.described(value)}; it "
                f"must be {kind}."
            )


def _keras_optimizer(name: str) -> type[keras.optimizers.Optimizer]:
    try:
        return type(keras.optimizers.get(name))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"config.optimizer.name is {name!r}, which is neither 'lars' nor a Keras "
            "optimizer, such as 'adamw' or 'sgd'."
        ) from error
