"""Variables in which replicas keep tensors of a step, and what fits into them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from bt_keras.distribution import strategies

# Pixels of a picture.
SIDE = 96


def replicated(shape: tuple, dtype: str, name: str) -> keras.Variable:
    """Makes a variable that is equal on all replicas and not trained.

    Args:
        shape: Tuple of integers.
        dtype: String.
        name: String.
    """
    return keras.Variable(
        "zeros",
        shape,
        dtype,
        trainable=False,
        aggregation="only_first_replica",
        name=name,
    )


def per_replica(shape: tuple) -> tf.Variable:
    """Makes a float32 variable of which each replica has its own value.

    Args:
        shape: Tuple of integers.
    """
    return tf.Variable(
        tf.zeros(shape),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.NONE,
    )


def local_values(strategy: tf.distribute.Strategy, buffer: tf.Variable) -> list:
    """Returns the arrays that a variable has on the replicas of this process.

    Args:
        strategy: `tf.distribute.Strategy`, in whose scope `per_replica` was called.
        buffer: `tf.Variable` of `per_replica`.
    """
    return [np.asarray(v) for v in strategy.experimental_local_results(buffer)]


def gatherer(
    strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]
) -> Callable[[], list[np.ndarray]]:
    """Makes a function that reads variables of all replicas, also of other workers.

    Args:
        strategy: `tf.distribute.Strategy`, in whose scope `per_replica` was called.
        variables: Sequence of `tf.Variable` of `per_replica`.

    Returns:
        Function without arguments, which all workers must call. It returns a list of
        arrays (R, ...), one for each variable, with its values on R replicas.
    """
    if strategies.num_workers(strategy) == 1:
        return lambda: [np.stack(local_values(strategy, each)) for each in variables]

    def pack():
        return tf.concat([tf.reshape(each, [1, -1]) for each in variables], axis=1)

    # One collective. Outside of a graph TensorFlow would trace one for every call.
    gather = tf.function(
        lambda: strategy.gather(strategy.run(pack), axis=0), autograph=False
    )
    ends = np.cumsum([each.shape.num_elements() for each in variables])[:-1]

    def read():
        parts = np.split(gather().numpy(), ends, axis=1)
        pairs = zip(parts, variables, strict=True)
        return [part.reshape(-1, *each.shape) for part, each in pairs]

    return read


def padded(views: Sequence[tf.Tensor], rows: int) -> tf.Tensor:
    """Stacks both views after cutting off their rows or filling them up with 0.

    Args:
        views: Two float tensors (n, ...).
        rows: Integer > 0.

    Returns:
        Float32 tensor (2, rows, ...).

    Example:

    >>> from bt_keras.callbacks.buffers import padded
    >>> padded([tf.constant([[1], [2]]), tf.constant([[3], [4]])], 3)[..., 0].numpy()
    array([[1., 2., 0.],
           [3., 4., 0.]], dtype=float32)
    """
    both = tf.stack([tf.cast(view[:rows], tf.float32) for view in views])
    missing = rows - tf.shape(both)[1]
    paddings = [[0, 0], [0, missing]] + [[0, 0]] * (both.shape.rank - 2)
    return tf.ensure_shape(tf.pad(both, paddings), (2, rows, *both.shape[2:]))


def small_pictures(images: tf.Tensor) -> tf.Tensor:
    """Takes the nearest pixels of images of any size.

    Args:
        images: Tensor (n, H, W, C).

    Returns:
        Tensor (n, SIDE, SIDE, C).
    """
    for axis in (1, 2):
        side = tf.shape(images)[axis]
        images = tf.gather(images, tf.range(SIDE) * side // SIDE, axis=axis)
    return images
