"""What a step of a model costs: its memory by part, and its operations."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf

from bt_keras import networks
from bt_keras.distribution import devices
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.plan import flops, memory, traced_network
from bt_keras.plan.memory import Memory
from bt_keras.plan.traced_network import Cost

_VIEWS = 2


@dataclasses.dataclass(frozen=True)
class StepCost:
    """The cost of a step.

    Attributes:
        memory: `Memory` of a replica.
        flops: Integer, floating-point operations of all replicas.
        left_out: Tuple of strings, names of layers that could not be counted.
    """

    memory: Memory
    flops: int
    left_out: tuple[str, ...]


def of_step(
    model: BarlowTwins,
    view: tf.TensorSpec,
    replicas: int,
    width: int,
    implementation: str | None,
) -> StepCost:
    """Computes the cost of a training step.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view: `tf.TensorSpec` of a replica's rows of a view, (n, H, W, C).
        replicas: Integer > 0.
        width: Integer, the width D of the embeddings.
        implementation: `"gram"` or `"correlation"`, or `None` for the loss of another
            method, which is left out.

    Returns:
        `StepCost`.
    """
    rows, batch = view.shape[0], view.shape[0] * replicas
    costs = _costs(model, view)
    weights = model.trainable_variables
    gradients = memory.of_variables(weights)
    parts = Memory(
        weights=memory.of_variables(model.variables),
        slots=memory.of_variables(model.optimizer.variables),
        gradients=gradients * (1 if model.microbatches == 1 else 2),
        views=_VIEWS * math.prod(view.shape) * view.dtype.size,
        activations=sum(_VIEWS * cost.kept + cost.copies for cost in costs),
        passed_back=_VIEWS * max(cost.passed_back for cost in costs),
        loss=memory.of_loss(rows, batch, width, implementation),
        update=memory.of_update(weights, replicas),
    )
    operations = sum(_operations(model, cost) for cost in costs)
    operations *= model.microbatches * replicas
    left_out = [name for cost in costs for name in cost.left_out]
    if implementation:
        on_one_cpu = replicas == 1 and not devices.is_accelerated()
        operations += flops.of_loss(batch, width, implementation, strips=on_one_cpu)
    else:
        left_out.append(f"the loss of {type(model).__name__}")
    return StepCost(memory=parts, flops=operations, left_out=tuple(left_out))


def _costs(model: BarlowTwins, view: tf.TensorSpec) -> list[Cost]:
    """Returns the costs of backbone and projector for a micro-batch of one view."""
    rows = view.shape[0] // model.microbatches
    view = tf.TensorSpec((rows, *view.shape[1:]), view.dtype)
    features = tf.TensorSpec(
        (rows, networks.feature_dim(model.backbone)), model.backbone.compute_dtype
    )
    return [
        traced_network.cost(model.backbone, view, of_views=True),
        traced_network.cost(model.projector, features, of_views=False),
    ]


def _operations(model: BarlowTwins, cost: Cost) -> int:
    """Returns the operations of all passes of a micro-batch."""
    # Micro-batches pass forward twice.
    forward = _VIEWS * (1 if model.microbatches == 1 else 2)
    added_forward, added_backward = model.added_passes
    return (forward + added_forward) * cost.forward + (
        _VIEWS + added_backward
    ) * cost.backward
