"""Barlow Twins self-supervised learning for Keras 3 on TensorFlow.

The folders follow the data: source -> views -> model (backbone, projector) -> loss ->
optimizer -> checkpoint -> evaluation -> export.
"""

import importlib
import sys

import wrapt

from bt_keras import program

__version__ = "0.1.0"

# The module of each public name, imported on first use: importing TensorFlow takes
# seconds, and `bt-keras` should report a mistyped flag at once.
_MODULES = {
    "LARS": "bt_keras.optimizers",
    "BarlowTwins": "bt_keras.model.barlow_twins",
    "Statistics": "bt_keras.augmentation",
    "StoppedError": "bt_keras.errors",
    "UsageError": "bt_keras.errors",
    "ViewRecipe": "bt_keras.augmentation",
    "WarmupCosine": "bt_keras.optimizers",
    "barlow_twins_loss": "bt_keras.losses",
    "cross_correlation": "bt_keras.losses",
    "export_backbone": "bt_keras.export.export_backbone",
    "load_backbone": "bt_keras.hub",
    "pairs": "bt_keras.data",
    "resnet": "bt_keras.networks",
    "views": "bt_keras.augmentation",
}
# Modules that are public as a whole.
_ROOMS = ("callbacks", "convert", "published_models", "report", "scores")
__all__ = [*_MODULES, *_ROOMS]

if not program.is_command():  # The commands set Keras's backend themselves.
    importlib.import_module("bt_keras.keras_backend").check()

# The modules of the classes in `.keras` files.
_KERAS_CLASSES = (
    "bt_keras.hub",
    "bt_keras.model.barlow_twins",
    "bt_keras.networks",
    "bt_keras.optimizers",
)


def _register(keras):
    """Registers the classes, so that `keras.models.load_model` finds them."""
    ours = [each for name, each in [*sys.modules.items()] if "bt_keras." in name]
    specs = [getattr(each, "__spec__", None) for each in ours]
    # One of our modules imports Keras: only part of the package exists yet.
    if any(getattr(spec, "_initializing", False) for spec in specs):
        return
    if keras.config.backend() == "tensorflow":
        for name in _KERAS_CLASSES:
            importlib.import_module(name)


# Keras may be imported after this package, which does not import it: see above.
wrapt.register_post_import_hook(_register, "keras")


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"bt_keras.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'bt_keras' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    return value


def __dir__():
    return sorted({*globals(), *__all__})
