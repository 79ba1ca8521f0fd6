"""From a config to an optimizer."""

import keras

from bt_keras.errors import UsageError
from bt_keras.optimizers.lars import LARS
from bt_keras.optimizers.schedules import WarmupCosine

_IMAGES_PER_RATE = 256  # The batch that a config's learning rates are given for.


def build(config, steps_per_epoch):
    """Builds the optimizer of a config, its rates scaled with the batch.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        steps_per_epoch: int > 0.

    Returns:
        A Keras optimizer under a `WarmupCosine` schedule.

    Raises:
        UsageError: for an optimizer that neither this project nor Keras has, or
            options it does not take.
    """
    wanted = config.optimizer
    rate = schedule(config, wanted.learning_rate, steps_per_epoch)
    options = {"learning_rate": rate, **wanted.options}
    if wanted.name == "lars":
        optimizer, bias_rate = LARS, wanted.bias_learning_rate
        options["bias_learning_rate"] = schedule(config, bias_rate, steps_per_epoch)
    else:
        optimizer = _keras_optimizer(wanted.name)
    try:
        return optimizer(**options)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"config.optimizer.options do not fit {wanted.name!r} ({error}): set them "
            "to that optimizer's own in a config file, as configs/cifar10.py does."
        ) from error


def schedule(config, rate, steps_per_epoch):
    """Builds the schedule of one of a config's rates.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        rate: float > 0, the peak for a batch of 256.
        steps_per_epoch: int > 0.

    Returns:
        `WarmupCosine`.
    """
    return WarmupCosine(
        peak=rate * config.batch_size / _IMAGES_PER_RATE,
        warmup_steps=round(config.optimizer.warmup_epochs * steps_per_epoch),
        total_steps=config.epochs * steps_per_epoch,
        floor=config.optimizer.floor,
    )


def _keras_optimizer(name):
    try:
        return type(keras.optimizers.get(name))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"config.optimizer.name is {name!r}, which is neither 'lars' nor a Keras "
            "optimizer, such as 'adamw' or 'sgd'."
        ) from error
