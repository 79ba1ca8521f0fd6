"""Load a SavedModel with the Reusable SavedModel interface, and call it."""

from __future__ import annotations

import inspect
import os

import tensorflow as tf

from bt_keras.distribution import collectives
from bt_keras.errors import UsageError, one_line

_INTERFACE = ("variables", "trainable_variables", "regularization_losses")


def load(folder: str | os.PathLike, handle: str):
    """Loads a SavedModel and checks its interface.

    Args:
        folder: Path of the SavedModel.
        handle: String, the handle as given by the user, for error messages.

    Returns:
        The loaded object: callable, with `variables`, `trainable_variables` and
        `regularization_losses`.

    Raises:
        UsageError: If it cannot be loaded or lacks a part of the interface.
    """
    try:
        module = tf.saved_model.load(str(folder))
    # TensorFlow raises various errors for damaged files.
    except Exception as error:
        reason = one_line(error, None).replace(str(folder), "the folder")
        raise UsageError(f"module {handle} cannot be loaded: {reason}") from error
    missing = [name for name in _INTERFACE if not hasattr(module, name)]
    if not callable(module):
        missing.insert(0, "__call__")
    if missing:
        raise UsageError(
            f"{handle} is a SavedModel without {', '.join(missing)}, so that it cannot "
            "be trained: write one with `bt-keras export`."
        )
    return module


def options(module) -> frozenset[str]:
    """Returns the names of the arguments that a module's call accepts.

    Modules that bt_keras did not export may lack `training` or `return_endpoints`.
    """
    return frozenset(inspect.signature(module.__call__).parameters)


def input_shape(module) -> tuple | None:
    """Returns the shape of images that a module takes, `None` if it is not known."""
    if module is None:
        return None
    shapes = set()
    for function in getattr(module.__call__, "concrete_functions", ()):
        specs = tf.nest.flatten(function.structured_input_signature)
        shapes |= {spec.shape for spec in specs if isinstance(spec, tf.TensorSpec)}
    shape = shapes.pop() if len(shapes) == 1 else tf.TensorShape(None)
    return tuple(shape) if shape.rank == 4 else None


def call(module, images: tf.Tensor, **arguments):
    """Calls a loaded module; outside `strategy.run`, on the first replica.

    Args:
        module: What `load` returned.
        images: Float32 tensor (N, H, W, 3) in [0, 1].
        **arguments: Keyword arguments of the call.

    Returns:
        The module's outputs.
    """
    if not (tf.executing_eagerly() and tf.distribute.in_cross_replica_context()):
        return module(images, **arguments)
    # TensorFlow cannot run a loaded function in the cross-replica context.
    strategy = tf.distribute.get_strategy()
    outputs = strategy.run(module, args=(images,), kwargs=arguments)
    return tf.nest.map_structure(
        lambda output: strategy.experimental_local_results(output)[0], outputs
    )


def average_over_replicas(variables: list) -> None:
    """Assigns the mean over all replicas to each variable."""
    replicas = collectives.num_replicas()
    if replicas == 1 or not variables:
        return
    values = [tf.convert_to_tensor(v) / replicas for v in variables]
    means = collectives.all_reduce_sum(values)
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)
