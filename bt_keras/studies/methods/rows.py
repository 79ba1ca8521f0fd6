"""Losses of the global batch, written as if all of its rows were on one device."""

from __future__ import annotations

from typing import Any

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


def mean_of_rows(values: tf.Tensor) -> tf.Tensor:
    """Computes the mean of numbers that each belong to a row of the global batch.

    Args:
        values: Float tensor (n,), those of the rows of this replica.

    Returns:
        Float32 scalar, equal on all replicas. Gradients reach this replica's values.

    Example:

    >>> from bt_keras.studies.methods.rows import mean_of_rows
    >>> float(mean_of_rows(tf.constant([1.0, 3.0])))  # one replica
    2.0
    """
    return tf.reduce_mean(gather_rows(values[:, tf.newaxis]))


def cosines(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Computes the cosine of the angle between each row of `a` and that of `b`.

    Args:
        a: Float tensor (n, D).
        b: Float tensor (n, D).

    Returns:
        Float32 tensor (n,); 0 where a row is 0.
    """
    unit = [tf.math.l2_normalize(tf.cast(x, tf.float32), axis=1) for x in (a, b)]
    return tf.reduce_sum(unit[0] * unit[1], axis=1)


def swap_neighbors(x: tf.Tensor, rows: Any) -> tf.Tensor:
    """Swaps rows 0 and 1, 2 and 3, and so on; an odd last row keeps its place.

    Args:
        x: Tensor (r * rows, ...), such as the gathered rows of r replicas.
        rows: Integer > 0, the rows of a replica, which are swapped among themselves.

    Returns:
        Tensor of the same shape.

    Example:

    >>> from bt_keras.studies.methods.rows import swap_neighbors
    >>> swap_neighbors(tf.range(6), rows=3).numpy()
    array([1, 0, 2, 4, 3, 5], dtype=int32)
    """
    numbers = tf.range(tf.shape(x)[0])
    place = numbers % rows
    other = tf.bitwise.bitwise_xor(place, 1)
    return tf.gather(x, numbers - place + tf.where(other < rows, other, place))
