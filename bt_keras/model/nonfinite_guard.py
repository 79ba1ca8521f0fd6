"""Keeping what is not finite out of the weights, on all replicas alike."""

import math

import tensorflow as tf

from bt_keras.distribution import collectives


def are_finite(tensors):
    """Whether every element of every tensor on every replica is finite.

    Args:
        tensors: list of float Tensors or `tf.IndexedSlices`.

    Returns:
        bool scalar, the same on every replica.
    """
    values = [t.values if isinstance(t, tf.IndexedSlices) else t for t in tensors]
    # A sum of squares is one pass over a tensor, without one of bools beside it. Where
    # it overflows, beyond norms of 1e19, nothing is left to save either.
    squares = tf.add_n([tf.cast(tf.nn.l2_loss(_wide(v)), tf.float32) for v in values])
    bad = tf.cast(tf.logical_not(tf.math.is_finite(squares)), tf.float32)
    return tf.equal(collectives.all_reduce_sum([bad])[0], 0.0)


def _wide(x):
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def replace_unless(finite, tensors, value):
    """The tensors where `finite`, otherwise tensors filled with a value.

    Args:
        finite: bool scalar.
        tensors: list of float Tensors, `tf.IndexedSlices` or None.
        value: float.

    Returns:
        list of Tensors, without a copy where they are the given ones.
    """
    present = [tf.convert_to_tensor(t) for t in tensors if t is not None]
    kept = tf.cond(
        finite,
        lambda: present,
        lambda: [tf.fill(tf.shape(t), tf.cast(value, t.dtype)) for t in present],
    )
    kept = iter(kept)
    return [None if t is None else next(kept) for t in tensors]


def guarded(gradients, logs, loss_scale=None):
    """What an optimizer may apply of a step's gradients.

    Where the loss or a gradient is not finite on some replica, the weights must not be
    overwritten with it, and every replica has to come to the same decision. Without a
    loss scale the gradients become 0 and the loss NaN, by which `fit` sees it. With
    one, as under float16, gradients overflow now and then: they become NaN on every
    replica, so that Keras's `LossScaleOptimizer` skips the step on all of them (it
    looks at its own replica's alone) and halves the scale; only below a scale of 1
    that no longer helps.

    Args:
        gradients: list of Tensors, `tf.IndexedSlices` or None, this replica's.
        logs: dict of float32 scalars with `"loss"`, of the global batch.
        loss_scale: optional float32 scalar, what the gradients are multiplied by.

    Returns:
        `(gradients, logs)`.
    """
    present = [g for g in gradients if g is not None]
    finite = are_finite([logs["loss"], *present])
    scaled = loss_scale is not None
    gradients = replace_unless(finite, gradients, math.nan if scaled else 0.0)
    fine = tf.logical_or(finite, loss_scale >= 1.0) if scaled else finite
    loss = tf.where(fine, logs["loss"], math.nan)
    return gradients, {**logs, "loss": loss}
