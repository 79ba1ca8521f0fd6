"""Builds a network from the Keras configuration that a module contains.

A configuration names classes and functions, some of which run code or read files that
the configuration names, too. Only those are created that cannot: loading a module's
architecture needs no trust.
"""

from __future__ import annotations

import collections
import json

import keras

from bt_keras.errors import UsageError, one_line, shown
from bt_keras.hub.hub_backbone import HubBackbone
from bt_keras.networks import serialized

# Arguments that releases of Keras since 3.11, the lowest one that is supported, have
# added to layers and initializers. `None` is what earlier ones do.
_NEWER = ("input_axes", "output_axes", "quantization_config")


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
        for each in serialized.objects(architecture):
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


def _drop_newer_arguments(config):
    """Removes arguments that earlier releases of Keras do not accept."""
    for name in _NEWER:
        if isinstance(config, dict) and config.get(name, "") is None:
            del config[name]


def _check(architecture):
    """Raises `UsageError` for a configuration that names anything but parts."""
    if not isinstance(architecture, dict):
        raise UsageError("the module has none")
    for each in serialized.objects(architecture):
        if not serialized.is_part(each, refused=HubBackbone):
            name = serialized.name(each)
            raise UsageError(f"{shown(name)} is unknown, or not safe to load")


def _policies(architecture):
    """Yields the entries of a configuration that are dtype policies."""
    for each in serialized.objects(architecture):
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
