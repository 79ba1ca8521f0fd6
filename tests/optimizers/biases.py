"""A bias that moves, and how far."""

import keras
import tensorflow as tf


def steps_of_a_bias(optimizer, count=1):
    """How far each of `count` steps moves a bias whose gradient is 1."""
    bias, steps = keras.Variable([0.0]), []
    for _ in range(count):
        before = bias.numpy()
        optimizer.apply([tf.ones(1)], [bias])
        steps.append(float((before - bias.numpy())[0]))
    return steps
