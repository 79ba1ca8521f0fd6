"""The config of a model with its backbone and its projector, as Keras saves it."""

from __future__ import annotations

from typing import Any

import keras

from bt_keras.model import parts

_PARTS = ("backbone", "projector")
_SETTINGS = ("lambd", "implementation", "microbatches")


def config_of(model) -> dict[str, Any]:
    """Returns the constructor's own arguments of a model.

    Args:
        model: `bt_keras.BarlowTwins`.

    Returns:
        Dict that JSON can represent, by the arguments' names.
    """
    layers = {
        name: keras.saving.serialize_keras_object(getattr(model, name))
        for name in _PARTS
    }
    return layers | {name: getattr(model, name) for name in _SETTINGS}


def construct(cls: type, config: dict, custom_objects: dict | None) -> Any:
    """Makes a model from its config.

    Args:
        cls: `bt_keras.BarlowTwins` or a subclass.
        config: Dict, what `get_config` returned.
        custom_objects: Optional dict from names to classes or functions.

    Returns:
        Model of the class `cls`.
    """
    layers = {
        name: keras.saving.deserialize_keras_object(
            config[name], custom_objects=custom_objects
        )
        for name in _PARTS
    }
    with parts.loading():
        return cls(**(config | layers))
