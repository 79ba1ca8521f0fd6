"""Norms of gradients that are spread over replicas, without adding the gradients.

A replica knows its own gradients; their sum over replicas exists only inside the
optimizer. TensorFlow has no collectives inside a condition, and outside of it all steps
would pay for one. A sketch is linear: that of the sum is the sum of the sketches, which
are small, and it has about the same norm.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

# Sums of a sketch. The error of a norm is 1/√(2 WIDTH) of it, one standard deviation;
# gradients of at most so many numbers are their own sketch.
WIDTH = 2048


def sketch(gradient: tf.Tensor, seed: int) -> tf.Tensor:
    """Computes a sketch of a gradient: sums of its numbers with random signs.

    Args:
        gradient: Float tensor.
        seed: Integer. Gradients that are added have the same one.

    Returns:
        Float32 tensor (WIDTH,).
    """
    numbers = tf.reshape(tf.cast(gradient, tf.float32), [-1])
    size = numbers.shape[0]
    rows = -(-size // WIDTH)
    if rows > 1:
        bits = tf.random.stateless_uniform([size], [seed, 0], 0, 2, tf.int32)
        numbers *= tf.cast(2 * bits - 1, tf.float32)
    numbers = tf.pad(numbers, [[0, rows * WIDTH - size]])
    return tf.reduce_sum(tf.reshape(numbers, [rows, WIDTH]), axis=0)


def norms(sketches: np.ndarray) -> np.ndarray:
    """Computes the norms of sums over replicas from their sketches.

    Args:
        sketches: Float32 array (R, V, W): of R replicas and V gradients.

    Returns:
        Float64 array (V,).

    Example:

    >>> from bt_keras.callbacks.gradient_sketch import norms, sketch
    >>> parts = tf.constant([[3.0, 1.0], [0.0, 3.0]])  # of two replicas
    >>> norms(np.stack([[sketch(part, seed=0)] for part in parts]))
    array([5.])
    """
    return np.linalg.norm(np.sum(sketches, axis=0, dtype=np.float64), axis=1)
