"""Losses of the global batch, written as if all of its rows were on one device."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.distribution import collectives


def gather_rows(z: tf.Tensor) -> tf.Tensor:
    """Concatenates the rows of all replicas; gradients reach this replica's rows.

    Every replica computes the whole loss from the gathered rows. Its gradient with
    respect to the rows of this replica is the part of the gathered gradient that
    belongs to them; Keras sums the gradients of weights over replicas.

    Args:
        z: Float tensor (n, D), the rows of this replica, as many on every replica.

    Returns:
        Float32 tensor (N, D), all rows in the order of the replicas.

    Example:

    >>> from bt_keras.studies.methods.rows import gather_rows
    >>> gather_rows(tf.ones((4, 2))).shape  # one replica
    TensorShape([4, 2])
    """
    z = tf.cast(z, tf.float32)
    if collectives.num_replicas() == 1:
        return z
    index = tf.distribute.get_replica_context().replica_id_in_sync_group

    @tf.custom_gradient
    def gather(own):
        rows = tf.shape(own)[0]

        def backward(upstream):
            start = index * rows
            return upstream[start : start + rows]

        return collectives.all_gather(own), backward

    return gather(z)
