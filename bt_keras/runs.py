"""The model of a run: as its config describes it, or as its checkpoint has it."""

import keras

from bt_keras import optimizers
from bt_keras.checkpoint import files, saving
from bt_keras.errors import UsageError
from bt_keras.model import BarlowTwins
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


def load_model(workdir, config, untrained=False):
    """Loads a run's newest model.

    Args:
        workdir: `Workdir`.
        config: `ConfigDict` of the run.
        untrained: bool, whether to build it with its initial weights instead.

    Returns:
        `(epochs, bt_keras.BarlowTwins)`, the number as str, "0" for the untrained one.

    Raises:
        UsageError: if there is no checkpoint.
    """
    if untrained:
        return "0", build_model(config)
    progress, path = newest(workdir)
    return progress.epochs, saving.load(path)


def newest(workdir):
    """Finds a run's newest checkpoint.

    Args:
        workdir: `Workdir`.

    Returns:
        `(Progress, path)`.

    Raises:
        UsageError: if there is none.
    """
    progress, path = files.newest(workdir.checkpoints)
    if path is None:
        raise UsageError(
            f"workdir {workdir.path} has no checkpoint yet: let `bt-keras pretrain` "
            "write one."
        )
    return progress, path
