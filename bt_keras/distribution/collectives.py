"""Sums and gathers over the replicas of `tf.distribute`, identities on one device.

Everything here is called inside `strategy.run` (as Keras calls `train_step`) or
outside any strategy. None of these functions is differentiable: the loss and the
batch normalisation bring closed-form gradients of their own, in which the collective
of the backward pass is written out. (TensorFlow's own gradient of an all-reduce is
an all-reduce, which counts every replica's loss once per replica.)
"""

import tensorflow as tf


def num_replicas():
    """Returns int, how many replicas compute this step together (1 without any)."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def all_gather(x):
    """Concatenates each replica's rows.

    Args:
        x: Tensor of rank 1 or more, the rows of this replica.

    Returns:
        Tensor, all replicas' rows along axis 0; `x` itself on one replica.
    """
    if num_replicas() == 1:
        return x
    return tf.distribute.get_replica_context().all_gather(x, axis=0)


def all_gather_packed(matrices):
    """Concatenates each replica's rows of several matrices in one collective.

    Args:
        matrices: list of Tensors (n, D), this replica's rows, with one n and one dtype.

    Returns:
        list of Tensors (N, D), all replicas' rows; the matrices themselves on one.
    """
    if num_replicas() == 1:
        return list(matrices)
    rows = all_gather(tf.concat(matrices, axis=1))
    return tf.split(rows, [m.shape[1] for m in matrices], axis=1)


def all_reduce_sum(tensors):
    """Sums each of several float32 tensors over the replicas in one collective.

    Args:
        tensors: list of float32 Tensors of static shapes.

    Returns:
        list of Tensors of the same shapes, the sums; the same on every replica.
    """
    if num_replicas() == 1:
        return list(tensors)
    shapes = [t.shape for t in tensors]
    packed = tf.concat([tf.reshape(t, [-1]) for t in tensors], axis=0)
    context = tf.distribute.get_replica_context()
    packed = context.all_reduce(tf.distribute.ReduceOp.SUM, packed)
    parts = tf.split(packed, [shape.num_elements() for shape in shapes])
    return [tf.reshape(p, s) for p, s in zip(parts, shapes, strict=True)]
