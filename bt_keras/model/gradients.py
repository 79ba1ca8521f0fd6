"""Gradients of the loss: of a whole batch, or accumulated over micro-batches."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bt_keras.errors import UsageError
from bt_keras.model.both_views import Outputs, forward


def batch_gradients(
    model, view_a: Any, view_b: Any, labels: Any = None
) -> tuple[list, dict, Outputs]:
    """Computes the gradients of a batch with one tape.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view_a: Tensor or nest of tensors (n, ...), the rows of this replica.
        view_b: The same for the other view.
        labels: What `model.batch_terms` receives. Defaults to `None`.

    Returns:
        Tuple `(gradients, logs, outputs)`: the gradients of the trainable variables,
        multiplied by the loss scale of the optimizer, a dict with the loss and its
        terms, and the `Outputs` of the network.
    """
    with tf.GradientTape() as tape:
        outputs = forward(model, view_a, view_b)
        logs = model.batch_terms((view_a, view_b), labels, outputs.embeddings)
        loss = model.optimizer.scale_loss(logs["loss"] + _regularization(model))
    return tape.gradient(loss, model.trainable_variables), logs, outputs


def microbatch_gradients(
    model, view_a: Any, view_b: Any, count: int, labels: Any = None
) -> tuple[list, dict, Outputs]:
    """Computes the gradients of a batch with the activations of one micro-batch.

    All micro-batches pass forward without a tape. The gradients of the loss of the
    whole batch with respect to its embeddings have a closed form. Then each
    micro-batch passes forward again with a tape of its own, and its rows of these
    gradients pass backward. This is a third more work. Only batch norm uses
    micro-batches instead of the batch. Its moving statistics and the seeds of dropout
    are reset before the second pass, so that both passes compute the same.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view_a: Tensor or nest of tensors (n, ...), the rows of this replica.
        view_b: The same for the other view.
        count: Integer, the number of micro-batches, a divisor of n.
        labels: What `model.batch_terms` receives. Defaults to `None`.

    Returns:
        Tuple `(gradients, logs, outputs)`, see `batch_gradients`.

    Raises:
        UsageError: If `count` does not divide n.
    """
    pairs = list(zip(*(_split(v, count) for v in (view_a, view_b)), strict=True))
    state = [
        *model.backbone.non_trainable_variables,
        *model.projector.non_trainable_variables,
    ]
    saved = [tf.identity(tf.convert_to_tensor(variable)) for variable in state]
    outputs = _outputs(model, pairs)
    views = view_a, view_b
    grads_wrt_z, total, logs = _grads_of_loss(model, views, labels, outputs.embeddings)
    with tf.control_dependencies(grads_wrt_z):
        for variable, value in zip(state, saved, strict=True):
            variable.assign(value)

    done = grads_wrt_z[0]
    rows_of_grads = zip(*(tf.split(side, count) for side in grads_wrt_z), strict=True)
    for pair, rows in zip(pairs, rows_of_grads, strict=True):
        with tf.GradientTape() as tape:
            embeddings = _forward(model, pair, after=done).embeddings
            own = model.optimizer.scale_loss(_regularization(model) / count)
        gradients = tape.gradient(
            [*embeddings, own],
            model.trainable_variables,
            output_gradients=[*rows, tf.ones_like(own)],
        )
        total = _sum(total, gradients)
        done = next(g for g in reversed(total) if g is not None)
    return total, logs, outputs


def _regularization(model):
    """This replica's share of the layers' own losses: gradients are summed over R."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return sum(model.losses, tf.constant(0.0)) / replicas


def _split(view, count):
    """Splits the rows of a nest of tensors; returns a list of `count` nests."""
    parts = [tf.split(_divisible(t, count), count) for t in keras.tree.flatten(view)]
    return [
        keras.tree.pack_sequence_as(view, tensors)
        for tensors in zip(*parts, strict=True)
    ]


def _divisible(tensor, count):
    """Returns the tensor after checking that `count` divides its rows."""
    message = (
        f"microbatches={count} does not divide a replica's batch{{}}: choose a divisor "
        "of it, or drop the remainder of the last batch."
    )
    if isinstance(tensor, tf.SparseTensor):
        raise UsageError(
            f"microbatches={count} cannot split sparse tensors: set it to 1."
        )
    rows = tensor.shape[0]
    if rows is None:
        dynamic = tf.shape(tensor)[0] % count
        message = message.format("")
        with tf.control_dependencies([tf.debugging.assert_equal(dynamic, 0, message)]):
            return tf.identity(tensor)
    if rows % count:
        raise UsageError(message.format(f" of {rows}"))
    return tensor


def _forward(model, pair, after):
    """Passes both views through the network once the tensor `after` is computed.

    Otherwise a graph would start all micro-batches at once. XLA ignores control
    dependencies and would keep the activations of the first pass instead of running the
    second one. Therefore 0 is added to the views, computed from `after`.
    """
    if after is not None:
        element = tf.reshape(after, [-1])[0]
        zero = tf.where(element == element, 0.0, float("nan"))
        pair = keras.tree.map_structure(lambda t: _add_zero(t, zero), pair)
    return forward(model, *pair)


def _add_zero(tensor, zero):
    if tensor.dtype.is_floating or tensor.dtype.is_integer:
        return tensor + tf.cast(zero, tensor.dtype)
    with tf.control_dependencies([zero]):  # Booleans and strings.
        return tf.identity(tensor)


def _outputs(model, pairs):
    """Computes the outputs of the network of the whole batch."""
    parts, done = [], None
    for pair in pairs:
        parts.append(_forward(model, pair, after=done))
        done = parts[-1].embeddings[1]
    return Outputs(*(_joined(each) for each in zip(*parts, strict=True)))


def _joined(parts):
    """Concatenates the rows of both sides; those that are not known stay `None`."""
    sides = zip(*parts, strict=True)
    return tuple(None if s[0] is None else tf.concat(s, axis=0) for s in sides)


def _grads_of_loss(model, views, labels, embeddings):
    """Computes the gradients of the loss with respect to its inputs.

    Returns:
        Tuple of the gradients for both views' embeddings, those for the trainable
        variables, which are `None` unless the loss itself has weights, and the logs.
    """
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        logs = model.batch_terms(views, labels, embeddings)
        loss = model.optimizer.scale_loss(logs["loss"])
    return *tape.gradient(loss, (embeddings, variables)), logs


def _sum(total, gradients):
    """Adds gradients. Those of embedding layers are sparse, and some may be None."""
    return list(map(_add, total, gradients))


def _add(total, gradient):
    if gradient is None:
        return total
    dense = tf.convert_to_tensor(gradient)
    return dense if total is None else total + dense
