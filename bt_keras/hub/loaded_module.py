"""Load a SavedModel with the Reusable SavedModel interface, and call it."""

from __future__ import annotations

import inspect
import os
from typing import Any

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


def input_specs(module) -> Any:
    """Returns the argument of a module, `None` if it is not known.

    Args:
        module: What `load` returned, or `None`.

    Returns:
        `tf.TensorSpec` or a nest of them, the same in all traces of the module.
    """
    traces = getattr(module.__call__, "concrete_functions", ()) if module else ()
    arguments = [trace.structured_input_signature[0] for trace in traces]
    first = [each[0] if each else None for each in arguments]
    is_known = bool(first) and all(
        isinstance(leaf, tf.TensorSpec) for leaf in tf.nest.flatten(first)
    )
    shapes = [[leaf.shape for leaf in tf.nest.flatten(each)] for each in first]
    return first[0] if is_known and all(s == shapes[0] for s in shapes) else None


def image_shape(module) -> tuple | None:
    """Returns the shape of images that a module takes, `None` if it is not known."""
    specs = input_specs(module)
    is_images = isinstance(specs, tf.TensorSpec) and specs.shape.rank == 4
    return tuple(specs.shape) if is_images else None


def arranged(module, inputs: Any) -> Any:
    """Returns inputs with the structure and the dtypes that a module takes.

    Args:
        module: What `load` returned.
        inputs: Tensor or nest of tensors.

    Returns:
        The same tensors; one tensor is float32 if the module does not tell.
    """
    specs = input_specs(module)
    if specs is None:
        return tf.nest.map_structure(lambda t: tf.cast(t, tf.float32), inputs)
    tensors = [
        tf.cast(tensor, spec.dtype)
        for tensor, spec in zip(
            tf.nest.flatten(inputs), tf.nest.flatten(specs), strict=True
        )
    ]
    return tf.nest.pack_sequence_as(specs, tensors)


def call(module, inputs: Any, **arguments):
    """Calls a loaded module; outside `strategy.run`, on the first replica.

    Args:
        module: What `load` returned.
        inputs: What `arranged` returned, such as float32 images in [0, 1].
        **arguments: Keyword arguments of the call.

    Returns:
        The module's outputs.
    """
    if not (tf.executing_eagerly() and tf.distribute.in_cross_replica_context()):
        return module(inputs, **arguments)
    # TensorFlow cannot run a loaded function in the cross-replica context.
    strategy = tf.distribute.get_strategy()
    outputs = strategy.run(module, args=(inputs,), kwargs=arguments)
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
