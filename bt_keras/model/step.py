"""A step of training or of evaluation on this replica's shard of a batch."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bt_keras.errors import UsageError
from bt_keras.model.both_views import Outputs, forward_test
from bt_keras.model.gradients import batch_gradients, microbatch_gradients
from bt_keras.model.nonfinite_guard import mask_nonfinite
from bt_keras.model.observers import Observers, StepView
from bt_keras.model.view_pairs import expected_view, unpack_element


def train(model, data: Any, observers: Observers) -> dict[str, tf.Tensor]:
    """Computes the gradients of a batch, shows them to observers and applies them.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        data: See `BarlowTwins.train_step`.
        observers: `Observers` of the model.

    Returns:
        Dict of float32 scalars, see `BarlowTwins.train_step`.
    """
    views, labels = unpack_element(data, expected_view(model.backbone))
    gradients, logs, outputs = _gradients(model, views, labels)
    _check_names(model, logs)
    scale = getattr(model.optimizer, "dynamic_scale", None)
    gradients, logs = mask_nonfinite(gradients, logs, scale)
    variables = model.trainable_variables
    step = StepView(views, *outputs, labels, logs, gradients, variables)
    logs = logs | observers.observe(step, scale)
    model.optimizer.apply(gradients, variables)
    return logs


def test(model, data: Any, observers: Observers) -> dict[str, tf.Tensor]:
    """Computes the loss of a batch in inference mode and shows it to observers.

    Args:
        model: `bt_keras.BarlowTwins`.
        data: See `BarlowTwins.train_step`.
        observers: `Observers` of the model.

    Returns:
        Dict of float32 scalars, see `BarlowTwins.train_step`.
    """
    views, labels = unpack_element(data, expected_view(model.backbone))
    outputs = forward_test(model, *views)
    logs = model.batch_terms(views, labels, outputs.embeddings, training=False)
    _check_names(model, logs)
    step = StepView(views, *outputs, labels, logs, gradients=(), variables=())
    return logs | observers.observe_test(step)


def _check_names(model, logs):
    if logs.keys() != set(model.log_names):
        raise UsageError(
            f"{type(model).__name__} returns the logs {', '.join(sorted(logs))}, but "
            f"its log_names are {', '.join(sorted(model.log_names))}: set this "
            "attribute of the class to the names of its logs."
        )


def _gradients(
    model, views: tuple[Any, Any], labels: Any
) -> tuple[list, dict, Outputs]:
    if model.microbatches == 1:
        return batch_gradients(model, *views, labels)
    return microbatch_gradients(model, *views, model.microbatches, labels)
