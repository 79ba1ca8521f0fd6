"""Gradients of the loss: of a whole batch, or accumulated over micro-batches."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.errors import UsageError


def batch_gradients(model, view_a: tf.Tensor, view_b: tf.Tensor) -> tuple[list, dict]:
    """Computes the gradients of a batch with one tape.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view_a: Float tensor (n, H, W, C), the rows of this replica.
        view_b: Float tensor (n, H, W, C).

    Returns:
        Tuple `(gradients, logs)`: the gradients of the trainable variables, multiplied
        by the loss scale of the optimizer, and a dict with the loss and its terms.
    """
    with tf.GradientTape() as tape:
        z_a = model.project(view_a, training=True)
        z_b = model.project(view_b, training=True)
        logs = model.loss_terms(z_a, z_b)
        loss = model.optimizer.scale_loss(logs["loss"] + _regularization(model))
    return tape.gradient(loss, model.trainable_variables), logs


def microbatch_gradients(
    model, view_a: tf.Tensor, view_b: tf.Tensor, count: int
) -> tuple[list, dict]:
    """Computes the gradients of a batch with the activations of one micro-batch.

    All micro-batches pass forward without a tape. The gradients of the loss of the
    whole batch with respect to its embeddings have a closed form. Then each
    micro-batch passes forward again with a tape of its own, and its rows of these
    gradients pass backward. This is a third more work. Only batch norm uses
    micro-batches instead of the batch. Its moving statistics and the seeds of dropout
    are reset before the second pass, so that both passes compute the same.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view_a: Float tensor (n, H, W, C), the rows of this replica.
        view_b: Float tensor (n, H, W, C).
        count: Integer, the number of micro-batches, a divisor of n.

    Returns:
        Tuple `(gradients, logs)`, see `batch_gradients`.

    Raises:
        UsageError: If `count` does not divide n.
    """
    sides = (tf.split(_divisible(view, count), count) for view in (view_a, view_b))
    pairs = list(zip(*sides, strict=True))
    state = [
        *model.backbone.non_trainable_variables,
        *model.projector.non_trainable_variables,
    ]
    saved = [tf.identity(tf.convert_to_tensor(variable)) for variable in state]
    grads_wrt_z, logs = _grads_wrt_z(model, _embeddings(model, pairs))
    with tf.control_dependencies(grads_wrt_z):
        for variable, value in zip(state, saved, strict=True):
            variable.assign(value)

    total: list = []
    done = grads_wrt_z[0]
    rows_of_grads = zip(*(tf.split(side, count) for side in grads_wrt_z), strict=True)
    for pair, rows in zip(pairs, rows_of_grads, strict=True):
        with tf.GradientTape() as tape:
            embeddings = _project(model, pair, after=done)
            own = model.optimizer.scale_loss(_regularization(model) / count)
        gradients = tape.gradient(
            [*embeddings, own],
            model.trainable_variables,
            output_gradients=[*rows, tf.ones_like(own)],
        )
        total = _sum(total, gradients)
        done = next(g for g in reversed(total) if g is not None)
    return total, logs


def _regularization(model):
    """This replica's share of the layers' own losses: gradients are summed over R."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return sum(model.losses, tf.constant(0.0)) / replicas


def _divisible(view, count):
    """Returns the view after checking that `count` divides its rows."""
    message = (
        f"microbatches={count} does not divide a replica's batch{{}}: choose a divisor "
        "of it, or drop the remainder of the last batch."
    )
    rows = view.shape[0]
    if rows is None:
        dynamic = tf.shape(view)[0] % count
        message = message.format("")
        with tf.control_dependencies([tf.debugging.assert_equal(dynamic, 0, message)]):
            return tf.identity(view)
    if rows % count:
        raise UsageError(message.format(f" of {rows}"))
    return view


def _project(model, pair, after):
    """Computes the embeddings of both views once the tensor `after` is computed.

    Otherwise a graph would start all micro-batches at once. XLA ignores control
    dependencies and would keep the activations of the first pass instead of running the
    second one. Therefore 0 is added to the images, computed from `after`.
    """
    if after is not None:
        element = tf.reshape(after, [-1])[0]
        zero = tf.where(element == element, 0.0, float("nan"))
        pair = [view + tf.cast(zero, view.dtype) for view in pair]
    return [model.project(view, training=True) for view in pair]


def _embeddings(model, pairs):
    """Computes the embeddings of both views of the whole batch."""
    rows, done = [], None
    for pair in pairs:
        rows.append(_project(model, pair, after=done))
        done = rows[-1][1]
    return [tf.concat(side, axis=0) for side in zip(*rows, strict=True)]


def _grads_wrt_z(model, embeddings):
    """Computes the gradients of the loss with respect to both views' embeddings."""
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        logs = model.loss_terms(*embeddings)
        loss = model.optimizer.scale_loss(logs["loss"])
    return tape.gradient(loss, embeddings), logs


def _sum(total, gradients):
    """Adds gradients. Those of embedding layers are sparse, and some may be None."""
    dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
    if not total:
        return dense
    pairs = zip(total, dense, strict=True)
    return [None if g is None else t + g for t, g in pairs]
