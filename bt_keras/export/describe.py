"""Metadata of a module, computed before it is written."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.metadata import version

import keras
import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras.config import ranges
from bt_keras.errors import UsageError, one_line
from bt_keras.evaluation.results import Result
from bt_keras.export.image_inputs import ImageInputs
from bt_keras.export.network_inputs import NetworkInputs
from bt_keras.export.saved_model import regularized_variables
from bt_keras.hub.metadata import ModuleMetadata
from bt_keras.networks import feature_dim
from bt_keras.plan import flops

_PACKAGES = ("bt-keras", "tensorflow", "keras", "tensorflow-hub")
# Fields of `ModuleMetadata` that the caller of `export_backbone` provides.
ABOUT = (
    *("config", "epochs", "steps", "results", "license"),
    *("published", "commands", "latency", "limits"),
)


def describe(
    backbone: keras.Model,
    projector: keras.Model | None,
    strides: list[int],
    inputs: ImageInputs | NetworkInputs,
    about: Mapping | None = None,
) -> ModuleMetadata:
    """Collects the metadata of the module that is about to be exported.

    Args:
        backbone: `keras.Model` from normalized images or other inputs to features.
        projector: `keras.Model` from features to embeddings, or `None`.
        strides: List of integers, the strides of the backbone's feature maps.
        inputs: `ImageInputs` or `NetworkInputs`, what the module takes.
        about: Optional mapping with fields of `ModuleMetadata` that describe the
            training and the model: those of `ABOUT`. Defaults to `None`.

    Returns:
        A `ModuleMetadata`.

    Raises:
        UsageError: If `about` has other fields, or a field has another type.
    """
    about = _checked(dict(about or {}))
    count = len(backbone.variables)
    described = functools.partial(
        ModuleMetadata,
        name=backbone.name,
        architecture=_architecture(backbone),
        parameters=backbone.count_params(),
        multiply_adds=_multiply_adds(backbone, inputs.metadata()),
        **inputs.metadata(),
        feature_dim=feature_dim(backbone),
        strides=list(strides),
        embedding_dim=projector.output_shape[-1] if projector else None,
        variables=count,
        trainable_variables=len(backbone.trainable_variables),
        statistics=_count_statistics(backbone),
        regularization_losses=len(regularized_variables(backbone)),
        stored_arrays=count + len(getattr(projector, "variables", ())),
        signatures=_signatures(inputs, strides, projector),
        versions={package: version(package) for package in _PACKAGES},
    )
    try:
        return described(**about)
    except ValueError as error:
        raise UsageError(f"about is not valid: {one_line(error)}.") from error


def _checked(about):
    """Returns the description of the training as JSON values."""
    if unknown := sorted(map(str, about.keys() - set(ABOUT))):
        raise UsageError(
            f"about={unknown[0]!r} is not a field of the model card: the fields are "
            f"{', '.join(ABOUT)}."
        )
    if isinstance(about.get("config"), ConfigDict):
        about["config"] = about["config"].to_dict()
    try:
        about = json.loads(json.dumps(about))
        if about.get("config"):
            _check_config(about["config"])
        for row in about.get("results") or ():
            Result.from_row(row)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"about is not valid: {one_line(error)}.") from error
    return about


def _check_config(config):
    """Raises `ValueError` unless the config has all fields, which the card names."""
    config_lib.from_json(json.dumps(config))
    given = config_lib.fields(ConfigDict(config))
    expected = config_lib.fields(config_lib.default())
    missing = sorted(
        field
        for field in expected.keys() - given.keys()
        if not f"{field}.".startswith(ranges.OPEN)
    )
    if missing:
        raise ValueError(
            f"its config lacks {missing[0]}; pass the run's whole config, as with "
            "config.to_dict(), or none"
        )


def _multiply_adds(backbone, fields):
    """Counts those of one image, of the size of encoded images if it can be any."""
    if not fields["input_shape"]:
        return None
    _, height, width, channels = fields["input_shape"]
    size = fields["image_size"]
    image = tf.TensorSpec((1, height or size, width or size, channels))
    return flops.multiply_adds(backbone, image)


def _signatures(inputs, strides, projector):
    names = ["serving_default", *inputs.signatures()]
    if strides:
        names.append("feature_maps")
    if projector:
        names.append("embedding")
    return names


def _architecture(backbone):
    """Returns the Keras configuration, or `None` if it cannot be serialized."""
    try:
        return json.loads(backbone.to_json())
    # Keras raises various errors for classes without a complete `get_config`.
    except (NotImplementedError, TypeError, ValueError):
        return None


def _count_statistics(network):
    """Counts the batch normalization variables that training updates."""
    layers = getattr(network, "layers", None)
    if layers:
        return sum(map(_count_statistics, layers))
    is_norm = "BatchNormalization" in type(network).__name__ and network.trainable
    return len(network.non_trainable_variables) if is_norm else 0
