"""Networks by the name of the function or class that makes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from bt_keras import checks
from bt_keras.errors import UsageError, one_line, shown
from bt_keras.networks import importing, serialized
from bt_keras.networks.rescaling import input_rescaling

# Arguments of the functions of `keras.applications`, those that they have.
_APPLICATIONS = {
    "weights": None,
    "include_top": False,
    "pooling": "avg",
    "include_preprocessing": False,
}
# Arguments for images in 0..255, in Keras and in its libraries.
_PREPROCESSING = ("include_preprocessing", "include_rescaling")
_POOLING = {
    3: keras.layers.GlobalAveragePooling1D,
    4: keras.layers.GlobalAveragePooling2D,
}
_OPTIONS = "config.backbone.options"


def network_by_name(
    name: str, options: Mapping[str, Any], image_size: int, channels: int = 3
) -> keras.Model:
    """Makes a network with the function or class of a name.

    Functions of `keras.applications` are called with `weights=None`,
    `include_top=False`, `pooling="avg"` and, if they have it,
    `include_preprocessing=False`. Their input, and that of other functions whose
    argument `input_shape` has no default or `None`, is `(None, None, channels)`. A
    network that returns feature maps (N, H, W, C) or tokens (N, T, C) gets an average
    pooling. Under a strategy of several replicas, the batch normalization of Keras is
    set to share its statistics over all of them.

    Args:
        name: String, the function with its module: `"keras.applications.MobileNetV2"`,
            or `"mine.network"` for a function of ./mine.py.
        options: Mapping from names to values, arguments of the function. They replace
            the arguments above.
        image_size: Integer > 0, side in pixels of the images to train on.
        channels: Integer > 0, the channels of the images. Defaults to `3`.

    Returns:
        `keras.Model` from normalized images (N, H, W, channels) to features (N, F).

    Raises:
        UsageError: If there is no such function, it does not return a Keras model, or
            the model does not fit the images, rescales them, or could not be loaded
            from a checkpoint.

    Example:

    >>> from bt_keras.networks import network_by_name
    >>> options = {"alpha": 0.25}
    >>> network = network_by_name("keras.applications.MobileNet", options, 32)
    >>> network.output_shape
    (None, 256)
    """
    function = importing.find(name)
    arguments = {**_defaults(function, channels), **options}
    try:
        network = function(**arguments)
    except UsageError:
        raise
    # A user's code may raise anything.
    except Exception as error:
        raise UsageError(
            f"{name} with the arguments {', '.join(arguments) or '(none)'} raises "
            f"{type(error).__name__}: {one_line(error).rstrip('.')}; set its arguments "
            f"with {_OPTIONS}.NAME=VALUE."
        ) from error
    if not isinstance(network, keras.Model):
        raise UsageError(
            f"{name} returns {checks.described(network)}, not a model of Keras 3."
        )
    _refuse_rescaling(name, function, network)
    check_images(name, network, (image_size, image_size, channels))
    network = _pooled(network)
    _refuse_unregistered(name, network)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        _synchronize(network)
    return network


def _defaults(function: Callable, channels: int) -> dict[str, Any]:
    """Returns the arguments that the user need not give."""
    parameters = _parameters(function)
    is_application = importing.is_application(function)
    defaults = {n: v for n, v in _APPLICATIONS.items() if is_application}
    shape = parameters.get("input_shape")
    if shape is not None and shape.default in (None, inspect.Parameter.empty):
        defaults["input_shape"] = (None, None, channels)
    return {name: value for name, value in defaults.items() if name in parameters}


def _parameters(function: Callable) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # Of an extension module.
        return {}


def _refuse_rescaling(name: str, function: Callable, network: keras.Model) -> None:
    """Raises `UsageError` if the network's first layers rescale images."""
    layer = input_rescaling(network)
    if layer is None:
        return
    advice = (
        "it has no argument to leave that out, so name another network, or a function "
        "of your own that returns the layers behind it, "
        f"keras.Model(network.get_layer({layer.name!r}).output, network.output)"
    )
    for switch in _PREPROCESSING:
        if switch in _parameters(function):
            advice = f"set {_OPTIONS}.{switch}=False"
    raise UsageError(
        f"{name} rescales images inside (its layer {layer.name!r}), but the views are "
        f"normalized already: {advice}."
    )


def _refuse_unregistered(name: str, network: keras.Model) -> None:
    """Raises `UsageError` for parts that Keras would not load from a checkpoint."""
    try:
        config = keras.saving.serialize_keras_object(network)
    # A user's `get_config` may raise anything.
    except Exception as error:
        raise UsageError(
            f"{name} returns a network that checkpoints cannot hold "
            f"({one_line(error).rstrip('.')}): give its classes a `get_config`."
        ) from error
    for part in serialized.objects(config):
        if not serialized.is_part(part):
            raise UsageError(
                f"{name} contains {shown(serialized.name(part))}, which Keras would "
                "not load from a checkpoint: use a class or function that is decorated "
                "with @keras.saving.register_keras_serializable()."
            )


def _pooled(network: keras.Model) -> keras.Model:
    """Adds an average pooling to a network that returns feature maps or tokens."""
    # Without a graph, or with several inputs or outputs, it stays as it is.
    inputs = list(getattr(network, "inputs", None) or [])
    outputs = list(getattr(network, "outputs", None) or [])
    if len(inputs) != 1 or len(outputs) != 1:
        return network
    images, features = inputs[0], outputs[0]
    if (pooling := _POOLING.get(len(features.shape))) is None:
        return network
    pooled = pooling(data_format="channels_last")(features)
    return keras.Model(images, pooled, name=network.name)


def check_images(
    name: str, network: keras.Model, shape: tuple, field: str = "config.views.size"
) -> None:
    """Checks that a network takes images of a size.

    Args:
        name: String, what the config calls the network.
        network: `keras.Model`.
        shape: Tuple `(height, width, channels)`.
        field: String, the field of the config that has the size. Defaults to
            `"config.views.size"`.

    Raises:
        UsageError: If it does not.
    """
    images = keras.KerasTensor((2, *shape))
    try:
        # The first call of a subclass of `keras.Model` builds it.
        (network.compute_output_spec if network.built else network)(images)
    # Keras raises various errors for shapes that do not fit.
    except Exception as error:
        size = "x".join(map(str, shape))
        raise UsageError(
            f"{name} does not take images of {size}, the size of {field} and the "
            f"channels ({one_line(error).rstrip('.')}): change {field} or {_OPTIONS}."
        ) from error


def _synchronize(network: keras.Model) -> None:
    """Lets Keras's batch normalization share its statistics over replicas."""
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
