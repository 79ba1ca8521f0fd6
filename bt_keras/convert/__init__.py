"""Converts weights between PyTorch and Keras.

`from_torch` builds a Keras model and `to_torch` a PyTorch state dict. `to_checkpoint`
includes the optimizer state, and `to_detectron2` uses Detectron2's names. `load` and
`save` read and write `.pth`, `.safetensors` and `.npz` files, without PyTorch and
without running code from a file.
"""

import importlib

# The module of each public name, imported on first use: `load` and `save` do not need
# TensorFlow.
_MODULES = {
    "from_torch": "state_dict",
    "load": "weight_files",
    "save": "weight_files",
    "to_checkpoint": "state_dict",
    "to_detectron2": "state_dict",
    "to_torch": "state_dict",
}
__all__ = list(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'bt_keras.convert' has no attribute {name!r}")
    module = importlib.import_module(f"bt_keras.convert.{_MODULES[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
