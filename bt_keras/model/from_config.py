"""Build the model that a config describes."""

from __future__ import annotations

import keras
from ml_collections import ConfigDict

from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import resnet


def build_model(config: ConfigDict) -> BarlowTwins:
    """Builds the model of a config; `config.seed` determines the initial weights.

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
