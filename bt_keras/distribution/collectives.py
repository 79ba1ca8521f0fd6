"""Sums and gathers over the replicas of a strategy; identities on one device.

Call these functions inside `strategy.run` (where Keras calls `train_step`) or outside
any strategy. They are not differentiable: the loss and the batch normalization have
closed-form gradients that include the collective of the backward pass. (TensorFlow's
gradient of an all-reduce is an all-reduce, which counts every replica's loss once per
replica.)
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def num_replicas() -> int:
    """Returns the number of replicas that compute this step, 1 without a strategy."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def all_gather(x: tf.Tensor) -> tf.Tensor:
    """Concatenates the rows of all replicas.

    Args:
        x: Tensor of rank >= 1, this replica's rows.

    Returns:
        Tensor, all replicas' rows along axis 0; `x` itself on one replica.
    """
    if num_replicas() == 1:
        return x
    return tf.distribute.get_replica_context().all_gather(x, axis=0)


def all_gather_packed(matrices: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Concatenates the rows of several matrices in one collective.

    Args:
        matrices: List of Tensors of shape `(n, D)`, this replica's rows. They have the
            same n and dtype.

    Returns:
        List of Tensors of shape `(N, D)`, all replicas' rows; the matrices themselves
        on one replica.
    """
    if num_replicas() == 1:
        return list(matrices)
    rows = all_gather(tf.concat(matrices, axis=1))
    return tf.split(rows, [m.shape[1] for m in matrices], axis=1)


def all_reduce_sum(tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Sums each of several tensors over the replicas, in one collective.

    Args:
        tensors: List of float32 Tensors of static shapes.

    Returns:
        List of float32 Tensors of the same shapes, the sums, equal on every replica.
    """
    if num_replicas() == 1:
        return list(tensors)
    shapes = [t.shape for t in tensors]
    packed = tf.concat([tf.reshape(t, [-1]) for t in tensors], axis=0)
    context = tf.distribute.get_replica_context()
    packed = context.all_reduce(tf.distribute.ReduceOp.SUM, packed)
    parts = tf.split(packed, [shape.num_elements() for shape in shapes])
    return [tf.reshape(p, s) for p, s in zip(parts, shapes, strict=True)]
