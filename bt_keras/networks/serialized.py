"""The Keras configurations of networks, as nested dicts and lists."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import keras

# What a network consists of. Metrics, losses and optimizers are left out.
_PARTS = (
    keras.Operation,
    keras.constraints.Constraint,
    keras.DTypePolicy,
    keras.initializers.Initializer,
    keras.random.SeedGenerator,
    keras.regularizers.Regularizer,
)
# They run code or read files that their configuration contains or names.
_REFUSED = (
    keras.layers.FlaxLayer,
    keras.layers.JaxLayer,
    keras.layers.Lambda,
    *keras.layers.StringLookup.__bases__,
    keras.layers.TextVectorization,
    keras.layers.TFSMLayer,
    keras.layers.TorchModuleWrapper,
)
_FUNCTIONS = (
    keras.activations,
    keras.constraints,
    keras.initializers,
    keras.regularizers,
)
# Values that JSON does not have.
_VALUES = (
    "__bytes__",
    "__ellipsis__",
    "__keras_tensor__",
    "__numpy__",
    "__slice__",
    "__tensor__",
)


def objects(config) -> Iterator[dict]:
    """Yields all objects within a configuration, outer ones first.

    Args:
        config: What `keras.saving.serialize_keras_object` returned, or a part of it.

    Example:

    >>> from bt_keras.networks import serialized
    >>> relu = keras.saving.serialize_keras_object(keras.layers.ReLU())
    >>> [each["class_name"] for each in serialized.objects(relu)]
    ['ReLU', 'DTypePolicy']
    """
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    for each in config if isinstance(config, list | tuple) else ():
        yield from objects(each)


def name(config: dict) -> str:
    """Returns the name of an object: that of its class, or of the function it is."""
    kind = config["class_name"]
    return config.get("config") if kind == "function" else kind


def is_part(config: dict, refused: type | tuple = ()) -> bool:
    """Returns whether an object can be part of a network that is loaded.

    These are the layers, functions, initializers and the like of Keras, and registered
    ones, unless they run code or read files that their configuration names.

    Args:
        config: Dict, one of `objects`.
        refused: Class or tuple of classes that are not accepted either. Defaults to
            `()`.

    Example:

    >>> from bt_keras.networks import serialized
    >>> layers = (keras.layers.ReLU(), keras.layers.Lambda(abs))
    >>> configs = map(keras.saving.serialize_keras_object, layers)
    >>> [serialized.is_part(config) for config in configs]
    [True, False]
    """
    name, module = config["class_name"], config.get("module")
    if name in _VALUES:
        return "module" not in config
    # Keras looks for objects without a module in places of its own.
    if not isinstance(name, str) or not isinstance(module, str):
        return False
    if name == "function":
        return _is_function(config.get("config"), module)
    found = keras.saving.get_registered_object(config.get("registered_name", name))
    if found is None and _is_of_keras(module):
        found = getattr(sys.modules[module], name, None)
    return (
        isinstance(found, type)
        and issubclass(found, _PARTS)
        and not issubclass(found, _REFUSED)
        and not issubclass(found, refused)
    )


def _is_function(name, module):
    if not isinstance(name, str):
        return False
    if keras.saving.get_registered_object(name) is not None:
        return True
    known = any(callable(getattr(module, name, None)) for module in _FUNCTIONS)
    return known and (module == "builtins" or _is_of_keras(module))


def _is_of_keras(module):
    # Keras imports a module of this name; all that have parts are imported already.
    return module.split(".")[0] == "keras" and module in sys.modules
