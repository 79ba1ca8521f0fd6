"""Keeps non-finite values out of the weights, with one decision for all replicas."""

from __future__ import annotations

import math

import tensorflow as tf

from bt_keras.distribution import collectives


def are_finite(tensors: list) -> tf.Tensor:
    """Checks whether all elements of all tensors are finite on all replicas.

    Args:
        tensors: List of float tensors or `tf.IndexedSlices`.

    Returns:
        Boolean scalar, equal on every replica.
    """
    values = [t.values if isinstance(t, tf.IndexedSlices) else t for t in tensors]
    # A sum of squares reads a tensor once and needs no tensor of bools beside it. It
    # overflows for norms above 1e19, where the run is lost anyway.
    squares = tf.add_n([tf.cast(tf.nn.l2_loss(_widen(v)), tf.float32) for v in values])
    bad = tf.cast(tf.logical_not(tf.math.is_finite(squares)), tf.float32)
    return tf.equal(collectives.all_reduce_sum([bad])[0], 0.0)


def _widen(x):
    """Casts 16-bit floats to float32."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def replace_unless(finite: tf.Tensor, tensors: list, value: float) -> list:
    """Returns the tensors if `finite`, otherwise tensors filled with a value.

    Args:
        finite: Boolean scalar.
        tensors: List of float tensors, `tf.IndexedSlices` or `None`.
        value: Float.

    Returns:
        List of tensors, and `None` where the input is `None`; without a copy if
        `finite`.
    """
    present = [tf.convert_to_tensor(t) for t in tensors if t is not None]
    kept = tf.cond(
        finite,
        lambda: present,
        lambda: [tf.fill(tf.shape(t), tf.cast(value, t.dtype)) for t in present],
    )
    kept = iter(kept)
    return [None if t is None else next(kept) for t in tensors]


def mask_nonfinite(
    gradients: list, logs: dict, loss_scale: tf.Tensor | None = None
) -> tuple[list, dict]:
    """Replaces all gradients if the loss or a gradient is non-finite on any replica.

    Weights must not be overwritten with non-finite values, and all replicas must make
    the same decision. Without a loss scale the gradients become 0, and the loss becomes
    NaN to notify `fit`. With a loss scale (float16) gradients overflow occasionally:
    they become NaN on every replica, so that `keras.optimizers.LossScaleOptimizer`,
    which checks the gradients of its own replica alone, skips the step on all of them
    and halves the scale. The loss becomes NaN once the scale is below 1, where halving
    it does not help.

    Args:
        gradients: List of tensors, `tf.IndexedSlices` or `None`, of this replica.
        logs: Dict of float32 scalars with `"loss"`, of the global batch.
        loss_scale: Float32 scalar, the factor of the gradients, or `None`. Defaults to
            `None`.

    Returns:
        Tuple `(gradients, logs)`.
    """
    present = [g for g in gradients if g is not None]
    finite = are_finite([logs["loss"], *present])
    if loss_scale is None:
        gradients, recoverable = replace_unless(finite, gradients, 0.0), finite
    else:
        gradients = replace_unless(finite, gradients, math.nan)
        recoverable = tf.logical_or(finite, loss_scale >= 1.0)
    loss = tf.where(recoverable, logs["loss"], math.nan)
    return gradients, {**logs, "loss": loss}
