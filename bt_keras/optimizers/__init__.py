"""Optimizer and learning rate schedule, and how a config selects them."""

from bt_keras.optimizers.from_config import build, schedule
from bt_keras.optimizers.lars import LARS
from bt_keras.optimizers.schedules import WarmupCosine

__all__ = ["LARS", "WarmupCosine", "build", "schedule"]
