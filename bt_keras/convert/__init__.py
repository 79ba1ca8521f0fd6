"""Weights between PyTorch's names, layouts and files and Keras's.

`from_torch` and `to_torch` go there and back, `to_checkpoint` takes the optimizer
along, `to_detectron2` has the names that Detectron2 reads, and `load` and `save` are
the files (`.pth`, `.safetensors`, `.npz`). PyTorch is not needed, and no file can run
code.
"""

import importlib

# Where each public name lives. Files are read and written without TensorFlow.
_HOMES = {
    "from_torch": "state_dict",
    "load": "weight_files",
    "save": "weight_files",
    "to_checkpoint": "state_dict",
    "to_detectron2": "state_dict",
    "to_torch": "state_dict",
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'bt_keras.convert' has no attribute {name!r}")
    home = importlib.import_module(f"bt_keras.convert.{_HOMES[name]}")
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
