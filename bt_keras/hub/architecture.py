"""Builds a network from the Keras configuration that a module contains.

A configuration names classes and functions, some of which run code or read files that
the configuration names, too. Only those are created that cannot: loading a module's
architecture needs no trust.
"""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Iterator

import keras

from bt_keras.errors import UsageError, one_line, shown
from bt_keras.hub.hub_backbone import HubBackbone

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
    HubBackbone,
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
# Arguments that releases of Keras since 3.11, the lowest one that is supported, have
# added to layers and initializers. `None` is what earlier ones do.
_NEWER = ("input_axes", "output_axes", "quantization_config")
# Values that JSON does not have.
_VALUES = (
    "__bytes__",
    "__ellipsis__",
    "__keras_tensor__",
    "__numpy__",
    "__slice__",
    "__tensor__",
)


def build(architecture: dict | None, policy: str | None = None) -> keras.Model:
    """Builds a network with new weights.

    Args:
        architecture: Dict, the configuration, or `None` if the module has none.
        policy: Optional string, the dtype policy of the network. It replaces the one
            that most layers have; a layer with another one keeps it. Defaults to
            `None`: all layers have the policies of the configuration.

    Returns:
        `keras.Model`.

    Raises:
        UsageError: If the configuration is not that of a network, or contains a class
            that is unknown or runs code.
    """
    try:
        architecture = json.loads(json.dumps(architecture))
        for each in _objects(architecture):
            # A network is not used as it was compiled.
            each.pop("compile_config", None)
            _drop_newer_arguments(each.get("config"))
        _check(architecture)
        if policy is not None:
            _set_policy(architecture, policy)
        model = keras.models.model_from_json(json.dumps(architecture))
    # Keras raises various errors for configurations that it cannot use.
    except Exception as error:
        raise UsageError(one_line(error)) from error
    if not isinstance(model, keras.Model):
        raise UsageError(f"it is a {type(model).__name__}, not a model")
    return model


def is_mixed(architecture: dict) -> bool:
    """Returns whether most layers of a network have a policy other than float32."""
    return _main_policy(architecture) not in (None, "float32")


def _objects(value) -> Iterator[dict]:
    """Yields all objects within a configuration."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from _objects(each)


def _drop_newer_arguments(config):
    """Removes arguments that earlier releases of Keras do not accept."""
    for name in _NEWER:
        if isinstance(config, dict) and config.get(name, "") is None:
            del config[name]


def _check(architecture):
    """Raises `UsageError` for a configuration that names anything but parts."""
    if not isinstance(architecture, dict):
        raise UsageError("the module has none")
    for each in _objects(architecture):
        if not _is_allowed(each):
            name = each.get("class_name")
            name = each.get("config") if name == "function" else name
            raise UsageError(f"{shown(name)} is unknown, or not safe to load")


def _is_allowed(config):
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


def _policies(architecture):
    """Yields the entries of a configuration that are dtype policies."""
    for each in _objects(architecture):
        if each["class_name"] == "DTypePolicy":
            yield each["config"]


def _main_policy(architecture):
    names = collections.Counter(each["name"] for each in _policies(architecture))
    return names.most_common(1)[0][0] if names else None


def _set_policy(architecture, policy):
    main = _main_policy(architecture)
    for each in _policies(architecture):
        if each["name"] == main:
            each["name"] = policy
