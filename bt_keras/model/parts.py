"""Checks of the backbone and the projector before they become parts of a model."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from bt_keras import checks, networks
from bt_keras.errors import UsageError

# Packages whose layers look like those of Keras 3, which does not train them.
_FOREIGN = ("tf_keras", "tensorflow_hub", "tensorflow")
_loading = contextvars.ContextVar("loading", default=False)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Accepts frozen backbones: a saved model may have been frozen after training."""
    token = _loading.set(True)
    try:
        yield
    finally:
        _loading.reset(token)


def checked_parts(
    backbone: Any, projector: Any, strategy: tf.distribute.Strategy
) -> tuple[keras.Layer, keras.Layer]:
    """Returns the backbone and the projector of a model after checking them.

    Args:
        backbone: Built `keras.Model` or layer from any inputs to features (N, F).
        projector: Sequence of ints, the widths of a new projector, or a `keras.Model`
            or layer from (N, F) to (N, D).
        strategy: `tf.distribute.Strategy` of the model.

    Returns:
        `(backbone, projector)`, both built.

    Raises:
        UsageError: If one of them is anything else, or if `fit` would not train it.
    """
    if isinstance(backbone, keras.Layer):
        # Views are normalized already.
        backbone = networks.behind_normalization(backbone)
    check_backbone(backbone)
    _warn_of_rescaling(backbone)
    feature_dim = networks.feature_dim(backbone)
    if isinstance(projector, keras.Layer) or is_foreign(projector):
        check_projector(projector, feature_dim)
        if not projector.built:
            projector.build((None, feature_dim))
    else:
        projector = networks.projector(projector, feature_dim)
    check_scope("backbone", backbone, strategy)
    check_scope("projector", projector, strategy)
    return backbone, projector


def check_backbone(backbone: Any) -> None:
    """Checks that `fit` would train a backbone.

    Args:
        backbone: What the user passed.

    Raises:
        UsageError: If it is not a layer of Keras 3, has weights that `fit` would not
            train, or returns the probabilities of classes.
    """
    _check_layer("backbone", backbone, "such as bt_keras.resnet(50)")
    if backbone.built and not _loading.get():
        check_trains(backbone)
        _check_is_no_classifier(backbone)


def check_trains(backbone: keras.Layer) -> None:
    """Checks that a backbone has trainable weights.

    Args:
        backbone: Built `keras.Layer`.

    Raises:
        UsageError: If it has none.
    """
    if not backbone.trainable_variables:
        raise UsageError(
            f"the backbone {backbone.name!r} has no trainable weights, so that `fit` "
            "would not train it: set backbone.trainable = True, or pass trainable=True "
            "to bt_keras.load_backbone."
        )


def check_projector(projector: Any, feature_dim: int) -> None:
    """Checks a projector that is a layer, not widths.

    Args:
        projector: What the user passed.
        feature_dim: Integer, the width F of the backbone's features.

    Raises:
        UsageError: If it is not a layer of Keras 3, has weights that `fit` would not
            train, or is not from (N, F) to (N, D).
    """
    _check_layer("projector", projector, "or widths such as (8192, 8192, 8192)")
    shape = _known_shape(projector, "input_shape")
    if shape is not None and not _fits(shape, feature_dim):
        raise UsageError(
            f"the projector {projector.name!r} takes {shape}, but the backbone's "
            f"features are (N, {feature_dim})."
        )
    shape = _known_shape(projector, "output_shape")
    if shape is not None and (not _fits(shape, None) or shape[1] is None):
        raise UsageError(
            f"the projector {projector.name!r} returns {shape}, but it must return "
            "embeddings (N, D)."
        )


def check_scope(
    name: str, layer: keras.Layer, strategy: tf.distribute.Strategy
) -> None:
    """Checks that the variables of a layer belong to a strategy.

    Args:
        name: String, what the layer is, for the message.
        layer: `keras.Layer`.
        strategy: `tf.distribute.Strategy` of the model.

    Raises:
        UsageError: If a variable was created in another scope.
    """
    for variable in layer.variables:
        if not created_in_scope(variable, strategy):
            raise UsageError(
                f"the {name} {layer.name!r} was made outside the scope of the model's "
                "strategy: make both inside `with strategy.scope():`."
            )


def created_in_scope(
    variable: keras.Variable, strategy: tf.distribute.Strategy
) -> bool:
    """Returns whether a variable was created in the scope of a strategy."""
    return strategy.extended.variable_created_in_scope(variable.value)


def build_optimizer(model: keras.Model) -> None:
    """Creates the variables of a model's optimizer in the scope of its strategy.

    Args:
        model: `keras.Model`, compiled.

    Raises:
        UsageError: If the optimizer was made in another scope and cannot train here.
    """
    optimizer, strategy = model.optimizer, model.distribute_strategy
    with strategy.scope():
        try:
            optimizer.build(model.trainable_variables)
        except (RuntimeError, ValueError) as error:
            if created_in_scope(optimizer.variables[0], strategy):
                raise
            raise UsageError(
                f"the optimizer {optimizer.name!r} was made outside the scope of the "
                "model's strategy: make it inside `with strategy.scope():`."
            ) from error


def is_foreign(value: Any) -> bool:
    """Returns whether a value is a layer of tf-keras or another TensorFlow module."""
    if isinstance(value, tf.Module):
        return True
    roots = {base.__module__.split(".")[0] for base in type(value).__mro__}
    return not isinstance(value, keras.Layer) and not roots.isdisjoint(_FOREIGN)


def _check_layer(name, layer, example):
    if is_foreign(layer):
        raise UsageError(
            f"the {name} is a {type(layer).__name__} of tf-keras or TensorFlow, which "
            "`fit` of Keras 3 does not train: give a model or layer of Keras 3, "
            f"{example}."
        )
    if not isinstance(layer, keras.Layer):
        raise UsageError(
            f"{name}={checks.described(layer)} must be a model or layer of Keras 3, "
            f"{example}."
        )
    for part in layer._flatten_layers():
        for value in tf.nest.flatten(list(vars(part).values())):
            if _trains_elsewhere(value):
                raise UsageError(
                    f"the layer {part.name!r} of the {name} holds a "
                    f"{type(value).__name__} of TensorFlow or tf-keras, whose weights "
                    "`fit` would not train: use layers and variables of Keras 3."
                )


def _check_is_no_classifier(backbone):
    last = backbone
    while layers := getattr(last, "layers", []):
        last = layers[-1]
    softmax = getattr(last, "activation", None) is keras.activations.softmax
    if softmax or isinstance(last, keras.layers.Softmax):
        raise UsageError(
            f"the backbone {backbone.name!r} is a classifier: its layer {last.name!r} "
            "returns probabilities of classes. Leave out the classifier: networks of "
            'keras.applications need include_top=False and pooling="avg".'
        )


def _warn_of_rescaling(backbone):
    """Warns if a network of images rescales what `bt_keras.views` has normalized."""
    shape = _known_shape(backbone, "input_shape")
    if _loading.get() or not isinstance(shape, tuple) or len(shape) != 4:
        return
    if layer := networks.input_rescaling(backbone):
        logging.warning(
            "The backbone %r rescales images inside (its layer %r), but those of "
            "bt_keras.views are normalized already. Leave that out: make it with "
            "include_preprocessing=False if it has this argument, or else take "
            "keras.Model(network.get_layer(%r).output, network.output).",
            backbone.name,
            layer.name,
            layer.name,
        )


def _trains_elsewhere(value):
    """Returns whether a value has trainable variables that Keras 3 does not track."""
    if isinstance(value, tf.Module):
        return bool(value.trainable_variables)
    return isinstance(value, tf.Variable) and value.trainable


def _known_shape(layer, attribute):
    try:
        return getattr(layer, attribute, None)
    except (AttributeError, ValueError, RuntimeError):  # Not built from an Input.
        return None


def _fits(shape, width):
    is_pair = isinstance(shape, tuple) and len(shape) == 2
    return is_pair and (width is None or shape[1] in (None, width))
