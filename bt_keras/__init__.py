"""Barlow Twins self-supervised learning for Keras 3 on TensorFlow.

source -> views -> model (backbone, projector) -> loss -> optimizer -> checkpoint ->
evaluation -> export: the folders and files follow this road.
"""

import importlib

__version__ = "0.1.0"

# Where each public name lives. They are imported when first used: importing TensorFlow
# takes seconds, which a mistyped flag of `bt-keras` should not cost.
_HOMES = {
    "LARS": "bt_keras.optimizers",
    "BarlowTwins": "bt_keras.model.barlow_twins",
    "StoppedError": "bt_keras.errors",
    "UsageError": "bt_keras.errors",
    "WarmupCosine": "bt_keras.optimizers",
    "barlow_twins_loss": "bt_keras.losses",
    "cross_correlation": "bt_keras.losses",
    "export_backbone": "bt_keras.export",
    "load_backbone": "bt_keras.hub",
    "pairs": "bt_keras.data",
    "resnet": "bt_keras.networks",
    "views": "bt_keras.augmentation",
}
__all__ = [*_HOMES, "convert"]


def __getattr__(name):
    if name == "convert":
        return importlib.import_module("bt_keras.convert")
    if name not in _HOMES:
        raise AttributeError(f"module 'bt_keras' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
