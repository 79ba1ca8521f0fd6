"""A square matrix product in TensorFlow."""

import tensorflow as tf

from benchmarks import matmul, side


def product(size, precision):
    a, b = (tf.cast(tf.random.normal((size, size)), precision) for _ in range(2))
    return lambda: tf.matmul(a, b)


if __name__ == "__main__":
    side.serve(lambda case: matmul.work(case, product))
