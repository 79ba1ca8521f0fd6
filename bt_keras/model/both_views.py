"""Passes both views through the network: one after the other, or stacked."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bt_keras import networks
from bt_keras.distribution import devices
from bt_keras.networks.batch_norm import stacked_views
from bt_keras.networks.convolution import faster_gradients

# What passes through the network as one batch of both views.
VIEWS, FEATURES = "views", "features"
_layers = keras.layers
# Layers that treat every row of a batch alone, whatever the other rows are.
_ROWWISE = (
    _layers.InputLayer,
    _layers.Activation,
    _layers.Add,
    _layers.AveragePooling1D,
    _layers.AveragePooling2D,
    _layers.AveragePooling3D,
    _layers.Concatenate,
    _layers.Conv1D,
    _layers.Conv2D,
    _layers.Conv3D,
    _layers.Dense,
    _layers.DepthwiseConv1D,
    _layers.DepthwiseConv2D,
    _layers.Flatten,
    _layers.GlobalAveragePooling1D,
    _layers.GlobalAveragePooling2D,
    _layers.GlobalAveragePooling3D,
    _layers.GlobalMaxPooling1D,
    _layers.GlobalMaxPooling2D,
    _layers.GlobalMaxPooling3D,
    _layers.GroupNormalization,
    _layers.LayerNormalization,
    _layers.MaxPooling1D,
    _layers.MaxPooling2D,
    _layers.MaxPooling3D,
    _layers.Multiply,
    _layers.ReLU,
    _layers.Rescaling,
    _layers.SeparableConv2D,
    _layers.ZeroPadding1D,
    _layers.ZeroPadding2D,
    _layers.ZeroPadding3D,
)


def can_stack(layer: keras.Layer) -> bool:
    """Returns whether a network gives the same embeddings for stacked views.

    Its batch norm must be `networks.BatchNormalization`, which keeps the views apart,
    and all other layers must treat every row alone. Unknown layers might not.

    Args:
        layer: `keras.Layer`, such as a backbone.

    Example:

    >>> from bt_keras.model.both_views import can_stack
    >>> inputs = keras.Input((8,))
    >>> own = bt_keras.networks.BatchNormalization()(inputs)
    >>> other = keras.layers.BatchNormalization()(inputs)
    >>> [can_stack(keras.Model(inputs, outputs)) for outputs in (own, other)]
    [True, False]
    """
    if isinstance(layer, keras.Sequential):
        return all(map(can_stack, layer.layers))
    if isinstance(layer, keras.Model):
        # The `call` of a subclass may do anything.
        is_functional = type(layer).__module__.startswith("keras.")
        return is_functional and all(map(can_stack, layer.operations))
    is_known = type(layer) in (*_ROWWISE, networks.BatchNormalization, networks.Conv2D)
    # A regularizer of activations divides by the rows of its batch.
    return is_known and layer.activity_regularizer is None and _keeps_rows_apart(layer)


def _keeps_rows_apart(layer):
    """Returns whether the arguments of a layer in `_ROWWISE` let it mix no rows."""
    axes = np.ravel(getattr(layer, "axis", -1))  # Of Concatenate, LayerNormalization.
    activation = getattr(layer, "activation", None)
    module = getattr(activation, "__module__", None) or ""
    return 0 not in axes and (activation is None or module.startswith("keras."))


def stacked_part(model) -> str | None:
    """Returns what passes through the network as one batch of both views.

    Args:
        model: `bt_keras.BarlowTwins`.

    Returns:
        `VIEWS`, as on GPUs and TPUs; `FEATURES`, for the projector alone, as on CPUs;
        or `None` if the views pass one after the other.
    """
    if overrides_project(model) or not can_stack(model.projector):
        return None
    if devices.is_accelerated():
        return VIEWS if can_stack(model.backbone) else None
    return FEATURES


def overrides_project(model) -> bool:
    """Returns whether a model passes views through the network in its own way."""
    return not getattr(type(model).project, "__module__", "").startswith("bt_keras.")


class Outputs(NamedTuple):
    """What the network computes of both views.

    Args:
        features: Tuple of two tensors (n, F), the backbone's outputs. Both are `None`
            for a model that overrides `project`.
        embeddings: Tuple of two tensors (n, D), the projector's outputs.
    """

    features: tuple
    embeddings: tuple


def forward(model, view_a: Any, view_b: Any) -> Outputs:
    """Passes both views through the network in training.

    Stacked, the network is compiled once for both views, its kernels process twice the
    rows, and batch norm sends the sums of both views in one collective. On a CPU only
    the projector is stacked: the time of its products is mostly that of reading the
    weights and of writing their gradients, now once for both views. The backbone's
    operations on two views run side by side there.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view_a: Tensor or nest of tensors (n, ...), the rows of this replica.
        view_b: The same for the other view.

    Returns:
        `Outputs`.
    """
    with faster_gradients(not model.jit_compile):
        return _forward(model, view_a, view_b)


def forward_test(model, view_a: Any, view_b: Any) -> Outputs:
    """Passes both views through the network in inference mode.

    Args:
        model: `bt_keras.BarlowTwins`.
        view_a: Tensor or nest of tensors (n, ...), the rows of this replica.
        view_b: The same for the other view.

    Returns:
        `Outputs`.
    """
    return _one_by_one(model, (view_a, view_b), training=False)


def _forward(model, *views):
    if model.stacks == VIEWS and _can_concatenate(*views):
        return Outputs(*_stacked((model.backbone, model.projector), *views))
    if model.stacks != FEATURES:
        return _one_by_one(model, views, training=True)
    features = tuple(model.backbone(view, training=True) for view in views)
    if _can_concatenate(*features):
        return Outputs(features, *_stacked((model.projector,), *features))
    embeddings = tuple(model.projector(each, training=True) for each in features)
    return Outputs(features, embeddings)


def _one_by_one(model, views, training):
    if overrides_project(model):
        embeddings = tuple(model.project(view, training=training) for view in views)
        return Outputs((None, None), embeddings)
    pairs = []
    for view in views:
        features = model.backbone(view, training=training)
        pairs.append((features, model.projector(features, training=training)))
    return Outputs(*zip(*pairs, strict=True))


def _stacked(networks, view_a, view_b):
    """Passes two batches as one through networks; returns the two outputs of each."""
    both = keras.tree.map_structure(lambda *v: tf.concat(v, axis=0), view_a, view_b)
    outputs = []
    with stacked_views(2):
        for network in networks:
            both = network(both, training=True)
            outputs.append(both)
    # Not in halves, so that the loss fails if the views have different rows.
    rows = [tf.shape(keras.tree.flatten(view)[0])[0] for view in (view_a, view_b)]
    return [tuple(tf.split(each, rows)) for each in outputs]


def _can_concatenate(view_a, view_b):
    """Returns whether the views are dense tensors of the same types and shapes."""
    pairs = zip(*map(keras.tree.flatten, (view_a, view_b)), strict=True)
    return all(
        isinstance(a, tf.Tensor)
        and isinstance(b, tf.Tensor)
        and a.dtype == b.dtype
        and a.shape[1:].is_fully_defined()
        and a.shape[1:] == b.shape[1:]
        for a, b in pairs
    )
