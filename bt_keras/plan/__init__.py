"""What a run will do and need, before it starts: steps, memory, traffic, time."""

from bt_keras.plan.formatting import describe
from bt_keras.plan.from_config import Plan, plan

__all__ = ["Plan", "describe", "plan"]
