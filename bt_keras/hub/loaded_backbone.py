"""Exported backbones as Keras models: the module's network behind a normalization."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from bt_keras.errors import DAMAGE, UsageError, one_line
from bt_keras.files import npz_file
from bt_keras.hub import architecture, metadata, rebuild
from bt_keras.networks import LoadedBackbone, as_model, feature_maps, graph
from bt_keras.networks.image_normalization import (
    FEATURES,
    Float32Output,
    ImageNormalization,
)

# Largest difference between the features of the loaded model and the stored ones,
# relative to the largest feature: in float32 on any device, and in half precision.
_TOLERANCE, _HALF_TOLERANCE = 1e-2, 1e-1


def load(
    folder: str | os.PathLike,
    handle: str | os.PathLike,
    *,
    trainable: bool,
    return_endpoints: bool,
    check_range: bool,
) -> LoadedBackbone:
    """Rebuilds the network of a module behind a normalization of images.

    Args:
        folder: Path of the module.
        handle: The handle as given by the user, for error messages.
        trainable: Boolean, as for `bt_keras.load_backbone`.
        return_endpoints: Boolean, as for `bt_keras.load_backbone`.
        check_range: Boolean, as for `bt_keras.load_backbone`.

    Returns:
        `LoadedBackbone` under the global dtype policy.

    Raises:
        UsageError: If the network cannot be rebuilt, or is not that of the module.
    """
    described = metadata.read(folder, handle)
    policy = keras.config.dtype_policy().name
    network = rebuild.rebuild(folder, described, handle, policy)
    maps = feature_maps(network)
    if list(maps) != described.strides:
        raise UsageError(
            f"the network of module {handle} has feature maps at strides {list(maps)}, "
            f"but the module at {described.strides}."
        )
    try:
        if described.inputs is None:
            normalization = functools.partial(
                ImageNormalization, check_range, described.normalization
            )
            backbone = _assemble(network, maps, return_endpoints, normalization)
        else:
            backbone = _with_float32_output(network, return_endpoints)
    # Keras raises various errors for networks that it cannot copy.
    except Exception as error:
        raise UsageError(
            f"the network of module {handle} cannot be copied ({one_line(error)})."
        ) from error
    is_half = policy != "float32" or architecture.is_mixed(described.architecture)
    tolerance = _HALF_TOLERANCE if is_half else _TOLERANCE
    _compare(backbone, folder, handle, described, tolerance)
    backbone.trainable = trainable
    return backbone


def _assemble(network, maps, return_endpoints, normalize):
    """Builds the model of new layers with the weights of the network."""
    # Not the layers themselves: each then belongs to one graph only, so that
    # `layer.output` is a tensor of the returned model.
    copies = []

    def copy(layer):
        copies.append((layer, type(layer).from_config(layer.get_config())))
        return copies[-1][1]

    # All but the input's, which is replaced.
    inputs = keras.layers.InputLayer
    names = {each.name for each in network.layers if not isinstance(each, inputs)}
    if isinstance(network, keras.Sequential):
        network = keras.Model(network.inputs, network.outputs, name=network.name)
    (shape,) = (tensor.shape for tensor in network.inputs)
    images = keras.Input(shape[1:], name=_unused("images", names))
    normalization = normalize(name=_unused("image_normalization", names))
    normalized = normalization(images)

    def call(layer, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(
            lambda value: normalized if value is images else value, (args, kwargs)
        )
        return layer(*args, **kwargs)

    clone = keras.models.clone_model(
        network,
        input_tensors=keras.tree.pack_sequence_as(network.input, [images]),
        clone_function=copy,
        call_function=call,
    )
    for old, new in copies:
        # Operations other than layers have none.
        variables = (getattr(each, "variables", ()) for each in (old, new))
        for source, target in zip(*variables, strict=True):
            target.assign(source)
    (features,) = clone.outputs
    outputs = {FEATURES: features}
    if return_endpoints:
        tensors = _counterparts(network, clone, normalization)
        outputs |= {f"stride{s}": tensors[id(tensor)] for s, tensor in maps.items()}
    outputs = {
        name: _as_float32(tensor, _unused(f"{name}_float32", names))
        for name, tensor in outputs.items()
    }
    outputs = outputs if return_endpoints else outputs[FEATURES]
    return LoadedBackbone(images, outputs, name=network.name)


def _with_float32_output(network, return_endpoints):
    """Returns a network that takes no images, with its own layers, in float32."""
    network = as_model(network)
    names = {each.name for each in network.layers}
    features = _as_float32(network.outputs[0], _unused("features_float32", names))
    outputs = {FEATURES: features} if return_endpoints else features
    is_sequential = isinstance(network, keras.Sequential)
    inputs = network.inputs[0] if is_sequential else network.input
    return LoadedBackbone(inputs, outputs, name=network.name)


def _counterparts(network, clone, normalization):
    """Returns the clone's tensors by the id of the network's."""
    pairs = zip(
        graph.own_nodes(network),
        (n for n in graph.own_nodes(clone) if n.operation is not normalization),
        strict=True,
    )
    return {
        id(tensor): copy
        for old, new in pairs
        for tensor, copy in zip(old.output_tensors, new.output_tensors, strict=True)
    }


def _unused(name, names):
    while name in names:
        name += "_"
    return name


def _as_float32(tensor, name):
    return tensor if tensor.dtype == "float32" else Float32Output(name=name)(tensor)


def _compare(backbone, folder, handle, described, tolerance):
    """Raises `UsageError` if the features are not those stored at the export."""
    try:
        arrays = npz_file.load(Path(folder, metadata.FOLDER, metadata.SAMPLE))
        inputs = _sample_inputs(backbone, arrays, described)
        expected = np.asarray(arrays[FEATURES][:1], np.float32)
    except (OSError, *DAMAGE):  # The sample is not needed for anything else.
        return
    if inputs is None:
        return
    outputs = backbone(inputs, training=False)
    features = outputs[FEATURES] if isinstance(outputs, dict) else outputs
    limit = tolerance * max(float(np.abs(expected).max(initial=0.0)), 1e-12)
    if expected.shape != tuple(features.shape) or not np.allclose(
        features, expected, rtol=0, atol=limit, equal_nan=True
    ):
        raise UsageError(
            f"the network that the architecture of module {handle} describes has "
            "other features than those stored in the module: a layer has changed "
            "since the export, or the files are of several modules."
        )


def _sample_inputs(backbone, arrays, described):
    """Returns the first of the stored examples, or `None` if there is none."""
    if described.inputs is None:
        images = np.asarray(arrays["images"][:1], np.float32)
        return images / np.float32(255.0) if images.size and images.ndim == 4 else None
    inputs = [arrays[f"input_{i}"][:1] for i in range(len(described.inputs))]
    return keras.tree.pack_sequence_as(backbone.input, [tf.constant(a) for a in inputs])
