import numpy as np
import pytest
import tensorflow as tf

from bt_keras.networks import kernel_gradient
from tests.conftest import exact_bfloat16, relative_error

# Sides, kernel, stride, padding: those of the ResNets, odd and unequal sides, and
# sides of which a stride leaves out the last pixels.
CASES = [
    ((4, 4), (3, 3), 1, "SAME"),
    ((7, 5), (3, 3), 1, "SAME"),
    ((7, 8), (1, 1), 1, "SAME"),
    ((10, 10), (3, 3), 2, "VALID"),
    ((9, 12), (3, 3), 2, "VALID"),
    ((15, 14), (7, 7), 2, "VALID"),
    ((8, 8), (1, 1), 2, "VALID"),
    ((11, 9), (3, 2), 3, "VALID"),
    ((6, 7), (2, 4), 1, "SAME"),
    ((3, 3), (3, 3), 1, "VALID"),
]


def tensors(case, batch=3, channels=5, filters=4):
    """Makes float64 arrays x and dy, exact in bfloat16, and TensorFlow's gradient."""
    sides, size, stride, padding = case
    rng = np.random.default_rng(0)

    def random(shape):
        values = tf.constant(rng.normal(size=shape), tf.bfloat16)
        return tf.cast(values, tf.float64)

    x = random((batch, *sides, channels))
    kernel = tf.zeros([*size, channels, filters], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        y = tf.nn.conv2d(x, kernel, stride, padding)
    dy = random(y.shape)
    return x, dy, tape.gradient(y, kernel, dy)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_product_is_the_gradient(case):
    x, dy, exact = tensors(case)
    result = kernel_gradient.product(x, dy, *case[1:])
    assert result.shape == exact.shape
    assert relative_error(result, exact) < 1e-13


@exact_bfloat16
@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_bfloat16_is_as_exact_as_tensorflows_kernel(case):
    """Only the result is rounded: half a unit in the last of 8 bits."""
    x, dy, exact = tensors(case, batch=64, channels=16, filters=32)
    x16, dy16 = (tf.cast(t, tf.bfloat16) for t in (x, dy))
    result = kernel_gradient.product(x16, dy16, *case[1:])
    *_, stride, padding = case
    native = tf.raw_ops.Conv2DBackpropFilter(
        input=x16,
        filter_sizes=exact.shape,
        out_backprop=dy16,
        strides=[1, stride, stride, 1],
        padding=padding,
    )
    error, native_error = (
        relative_error(tf.cast(t, tf.float64), exact) for t in (result, native)
    )
    assert error < 2.0**-8
    assert error <= 1.02 * native_error


def test_any_number_of_images():
    x, dy, exact = tensors(CASES[3])

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *t.shape[1:]], tf.float64) for t in (x, dy)
        ]
    )
    def product(x, dy):
        return kernel_gradient.product(x, dy, *CASES[3][1:])

    result = product(x, dy)
    assert relative_error(result, exact) < 1e-13
