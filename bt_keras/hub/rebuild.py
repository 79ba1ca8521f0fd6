"""Rebuilds the Keras model that a module was exported from."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from bt_keras.errors import UsageError, one_line
from bt_keras.files.scratch import scratch_folder
from bt_keras.hub import architecture, metadata, resolve
from bt_keras.hub.metadata import ModuleMetadata
from bt_keras.hub.tar_members import MAX_BYTES


def read_backbone(
    handle: str | os.PathLike, *, max_bytes: int = MAX_BYTES
) -> tuple[keras.Model, ModuleMetadata]:
    """Rebuilds the Keras model that a module was exported from.

    Args:
        handle: String or path, as for `bt_keras.load_backbone`.
        max_bytes: Integer, as for `bt_keras.load_backbone`. Defaults to 8 GiB.

    Returns:
        Tuple `(backbone, metadata)`: a `keras.Model` with the module's weights, from
        normalized images (N, H, W, C) to features (N, F), and the `ModuleMetadata`.

    Raises:
        UsageError: If the module does not exist, was not exported by bt_keras, its
            architecture cannot be rebuilt, or its weights do not fit.

    Example:

    >>> model = bt_keras.resnet(18, width=1 / 16)
    >>> bt_keras.export_backbone(model, "module", image_size=32)
    >>> backbone, metadata = bt_keras.hub.read_backbone("module")
    >>> backbone.output_shape, metadata.strides
    ((None, 32), [4, 8, 16, 32])
    """
    with scratch_folder() as scratch:
        folder = resolve.resolve(handle, scratch, max_bytes=max_bytes)
        described = metadata.read(folder, handle)
        return rebuild(folder, described, handle), described


def rebuild(
    folder: str | os.PathLike,
    described: ModuleMetadata,
    handle: str | os.PathLike,
    policy: str | None = None,
) -> keras.Model:
    """Rebuilds the Keras model of a module's folder. Nothing of its graph is run.

    Args:
        folder: Path of the module.
        described: `ModuleMetadata` of the module.
        handle: The handle as given by the user, for error messages.
        policy: Optional string, the dtype policy, see `architecture.build`. Defaults
            to `None`.

    Returns:
        `keras.Model` with the module's weights, from normalized images (N, H, W, C) to
        features (N, F).

    Raises:
        UsageError: If the architecture cannot be rebuilt or the weights do not fit.
    """
    try:
        backbone = architecture.build(described.architecture, policy)
    except UsageError as error:
        raise UsageError(
            f"the architecture of module {handle} cannot be rebuilt ({error}): import "
            "the modules that define its layers first."
        ) from error
    try:
        _assign(backbone.variables, _stored_values(folder))
    # TensorFlow raises various errors for damaged files.
    except Exception as error:
        raise UsageError(
            f"the weights of module {handle} do not fit its architecture or are "
            f"damaged ({one_line(error)}): export or download the module again."
        ) from error
    return backbone


def _stored_values(folder) -> list[np.ndarray]:
    """Reads the values of the module's `variables` from its checkpoint."""
    reader = tf.train.load_checkpoint(str(Path(folder, "variables", "variables")))
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    )

    def child(node, name):
        ids = {each.local_name: each.node_id for each in node.children}
        return graph.nodes[ids[name]]

    variables = child(graph.nodes[0], "variables")
    in_order = (child(variables, str(i)) for i in range(len(variables.children)))
    return [reader.get_tensor(v.attributes[0].checkpoint_key) for v in in_order]


def _assign(variables, values):
    theirs = [tuple(np.shape(value)) for value in values]
    ours = [tuple(variable.shape) for variable in variables]
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} variables, but {len(theirs)} are stored")
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one != other:
            raise ValueError(f"variable {index} has shape {one}, but {other} is stored")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
