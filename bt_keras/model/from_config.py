"""The model that a config describes."""

import keras

from bt_keras import optimizers
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import resnet


def build_model(config):
    """Builds the model of a config with the initial weights of its seed.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.

    Returns:
        `bt_keras.BarlowTwins`, not compiled.
    """
    keras.utils.set_random_seed(config.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        backbone = resnet(**config.backbone)
        return BarlowTwins(
            backbone,
            config.projector,
            config.lambd,
            microbatches=config.microbatches,
        )
    finally:
        keras.config.set_dtype_policy(policy)


def compiled_model(config, steps_per_epoch):
    """Builds the model of a config and compiles it, as it is before the first step.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        steps_per_epoch: int > 0.

    Returns:
        `bt_keras.BarlowTwins`.
    """
    model = build_model(config)
    model.compile(
        optimizer=optimizers.build(config, steps_per_epoch),
        steps_per_execution=config.steps_per_execution,
    )
    return model
