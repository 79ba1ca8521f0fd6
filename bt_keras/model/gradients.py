"""Gradients of the loss: of a batch at once, or of its micro-batches in turn."""

import tensorflow as tf

from bt_keras.errors import UsageError


def of_batch(model, view_a, view_b):
    """Runs both views through the network on one tape.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view_a: float Tensor (n, H, W, C), this replica's rows.
        view_b: float Tensor (n, H, W, C).

    Returns:
        `(gradients, logs)`: the gradients of the trainable variables, multiplied by
        the optimizer's loss scale, and the loss and its terms by name.
    """
    with tf.GradientTape() as tape:
        z_a = model.project(view_a, training=True)
        z_b = model.project(view_b, training=True)
        logs = model.loss_terms(z_a, z_b)
        loss = model.optimizer.scale_loss(logs["loss"] + model.regularisation())
    return tape.gradient(loss, model.trainable_variables), logs


def of_microbatches(model, view_a, view_b, count):
    """Does what `of_batch` does with the activations of only a part of the batch.

    All micro-batches go forward without a tape; the slopes of the loss of the whole
    batch at its projections come in closed form; then each micro-batch goes forward
    again on a tape of its own, and its rows of the slopes go backward. The loss is
    the whole batch's, and a third more work is done. Batch norm alone sees
    micro-batches. Its moving statistics and the random numbers of dropout are set
    back in between, so that both passes are the same.

    Args:
        model: `bt_keras.BarlowTwins`, compiled.
        view_a: float Tensor (n, H, W, C), this replica's rows.
        view_b: float Tensor (n, H, W, C).
        count: int, how many micro-batches; it divides n.

    Returns:
        `(gradients, logs)`, see `of_batch`.

    Raises:
        UsageError: if `count` does not divide n.
    """
    sides = (tf.split(_divided(view, count), count) for view in (view_a, view_b))
    parts = list(zip(*sides, strict=True))
    state = [
        *model.backbone.non_trainable_variables,
        *model.projector.non_trainable_variables,
    ]
    saved = [tf.identity(tf.convert_to_tensor(variable)) for variable in state]
    slopes, logs = _slopes(model, _projections(model, parts))
    with tf.control_dependencies(slopes):
        for variable, value in zip(state, saved, strict=True):
            variable.assign(value)

    total, done = None, slopes[0]
    slopes = zip(*(tf.split(side, count) for side in slopes), strict=True)
    for part, part_slopes in zip(parts, slopes, strict=True):
        with tf.GradientTape() as tape:
            projections = _project(model, part, after=done)
            own = model.optimizer.scale_loss(model.regularisation() / count)
        gradients = tape.gradient(
            [*projections, own],
            model.trainable_variables,
            output_gradients=[*part_slopes, tf.ones_like(own)],
        )
        total = _sum(total, gradients)
        done = next(g for g in reversed(total) if g is not None)
    return total, logs


def _divided(view, count):
    """The view, if `count` divides its rows."""
    message = (
        f"microbatches={count} does not divide a replica's batch of {{}}: choose one "
        "that does, or drop the remainder of the last batch."
    )
    rows = view.shape[0]
    if rows is None:
        dynamic = tf.shape(view)[0] % count
        message = message.format("another size")
        with tf.control_dependencies([tf.debugging.assert_equal(dynamic, 0, message)]):
            return tf.identity(view)
    if rows % count:
        raise UsageError(message.format(rows))
    return view


def _project(model, part, after):
    """Both views' projections, computed after a tensor.

    A graph would otherwise start all micro-batches at once, and XLA, which does not
    see control dependencies, would keep the first pass's activations in place of
    running the second. So the images themselves depend on the tensor: by adding 0.
    """
    if after is not None:
        element = tf.reshape(after, [-1])[0]
        zero = tf.where(element == element, 0.0, float("nan"))
        part = [view + tf.cast(zero, view.dtype) for view in part]
    return [model.project(view, training=True) for view in part]


def _projections(model, parts):
    """Both views' projections of the whole batch."""
    rows, done = [], None
    for part in parts:
        rows.append(_project(model, part, after=done))
        done = rows[-1][1]
    return [tf.concat(side, axis=0) for side in zip(*rows, strict=True)]


def _slopes(model, projections):
    with tf.GradientTape() as tape:
        tape.watch(projections)
        logs = model.loss_terms(*projections)
        loss = model.optimizer.scale_loss(logs["loss"])
    return tape.gradient(loss, projections), logs


def _sum(total, gradients):
    # Of an embedding they are sparse.
    dense = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
    if total is None:
        return dense
    pairs = zip(total, dense, strict=True)
    return [None if g is None else t + g for t, g in pairs]
