"""Build the model that a config describes."""

from __future__ import annotations

import inspect

import keras
from ml_collections import ConfigDict

from bt_keras import checks
from bt_keras import config as config_lib
from bt_keras.data.from_config import evaluation_size
from bt_keras.errors import UsageError, one_line
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.networks import importing, network_by_name, resnet
from bt_keras.networks.by_name import check_images

_RESNET = "resnet"
_FIELD = "config.backbone.name"
_METHOD = "config.method.name"
_CLASS = "such as bt_keras.BarlowTwins"


def build_model(config: ConfigDict) -> BarlowTwins:
    """Builds the model of a config; `config.seed` determines the initial weights.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.

    Returns:
        `bt_keras.BarlowTwins`, not compiled.
    """
    keras.utils.set_random_seed(config.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        backbone = _build_backbone(config)
        return _build_method(config, backbone)
    finally:
        keras.config.set_dtype_policy(policy)


def import_network(config: ConfigDict) -> None:
    """Imports what defines the model and the layers of a config's network.

    Call it before loading a checkpoint: Keras finds registered classes only once their
    module is imported.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.

    Raises:
        UsageError: If there is no such network or method.
    """
    method_class(config)
    if config.backbone.name != _RESNET:
        with config_lib.naming(_FIELD):
            importing.find(config.backbone.name)


def method_class(config: ConfigDict) -> type[BarlowTwins]:
    """Returns the class that `config.method.name` names.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.

    Returns:
        `bt_keras.BarlowTwins` or a subclass.

    Raises:
        UsageError: If there is no such class.
    """
    name = config.method.name
    with config_lib.naming(_METHOD):
        found = importing.named(name, "method", f"a class with its module, {_CLASS}")
        if not inspect.isclass(found) or not issubclass(found, BarlowTwins):
            raise UsageError(
                f"{name} is {checks.described(found)}, not a subclass of "
                "bt_keras.BarlowTwins."
            )
    return found


def _build_method(config, backbone):
    method, options = (
        method_class(config),
        _with_tuples(config.method.options.to_dict()),
    )
    parts = backbone, config.projector, config.lambd
    try:
        return method(*parts, microbatches=config.microbatches, **options)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:  # Keras raises both for unknown names.
        if not options:
            raise
        raise UsageError(
            f"config.method.options: {config.method.name} raises "
            f"{type(error).__name__}: {one_line(error).rstrip('.')}."
        ) from error


def _build_backbone(config):
    settings, channels = config.backbone, config.data.channels
    if settings.name != _RESNET:
        if settings.features:
            raise UsageError(
                f"config.backbone.features={settings.features} is for {_FIELD}="
                f"{_RESNET!r}, not for {settings.name!r}: leave it at 0."
            )
        with config_lib.naming(_FIELD):
            options = _with_tuples(settings.options.to_dict())
            size = config.views.size
            network = network_by_name(settings.name, options, size, channels)
        check_evaluation_size(config, network)
        return network
    if settings.options:
        raise UsageError(
            f"config.backbone.options.{next(iter(settings.options))} is an argument of "
            f"the function that {_FIELD} names, but that is {_RESNET!r}: its arguments "
            "are config.backbone.depth, width, stem and features."
        )
    shape = (None, None, channels)
    return resnet(
        settings.depth,
        settings.width,
        settings.stem,
        input_shape=shape,
        features=settings.features,
    )


def check_evaluation_size(config: ConfigDict, backbone: keras.Model) -> None:
    """Checks that a backbone takes the images of the evaluation.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        backbone: `keras.Model` that takes the views of the config.

    Raises:
        UsageError: If it does not.
    """
    size = evaluation_size(config)
    if size != config.views.size:
        shape = (size, size, config.data.channels)
        field = "config.evaluation.size"
        check_images(config.backbone.name, backbone, shape, field)


def _with_tuples(value):
    """Returns options with tuples for lists, which JSON makes of tuples."""
    if isinstance(value, dict):
        return {name: _with_tuples(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(_with_tuples, value))
    return value
