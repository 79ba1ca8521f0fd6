"""Convolutions, in bfloat16 on some CPUs with a faster gradient of the kernel."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import keras
import tensorflow as tf

from bt_keras.distribution import devices
from bt_keras.networks import kernel_gradient

_enabled = contextvars.ContextVar("faster_gradients", default=False)


@contextlib.contextmanager
def faster_gradients(enabled: bool = True) -> Iterator[None]:
    """Lets every `Conv2D` called inside choose the faster of two equal gradients.

    For training steps. Outside, as in exported graphs, all gradients are TensorFlow's.

    Args:
        enabled: Boolean; `False` for a step that XLA compiles, which has kernels of its
            own. Defaults to `True`.

    Example:

    >>> from bt_keras.networks import Conv2D
    >>> from bt_keras.networks.convolution import faster_gradients
    >>> with faster_gradients():
    ...     y = Conv2D(8, 3)(tf.ones([1, 5, 5, 2]))
    """
    token = _enabled.set(enabled)
    try:
        yield
    finally:
        _enabled.reset(token)


@keras.saving.register_keras_serializable("bt_keras")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D`, faster in training in bfloat16 on some CPUs.

    On CPUs with AVX512-BF16 or AMX, TensorFlow's bfloat16 kernel for the gradient of
    the kernel is slow for small outputs, and for kernels of one pixel. There, and only
    inside `faster_gradients`, that gradient is a matrix product (`kernel_gradient`).
    Arguments, weights and outputs are those of Keras.

    Example:

    >>> from bt_keras.networks import Conv2D
    >>> Conv2D(8, 3, use_bias=False)(tf.ones([1, 5, 5, 2])).shape
    TensorShape([1, 3, 3, 8])
    """

    def convolution_op(self, inputs, kernel):
        if not (_enabled.get() and self._product_pays(inputs)):
            return super().convolution_op(inputs, kernel)
        kernel = tf.convert_to_tensor(kernel)
        return convolve(inputs, kernel, self.strides[0], self.padding.upper())

    def _product_pays(self, x):
        return (
            x.dtype == tf.bfloat16
            and None not in x.shape[1:]
            and self.data_format == "channels_last"
            and self.groups == 1
            and self.dilation_rate == (1, 1)
            and self.strides[0] == self.strides[1]
            and (self.padding == "valid" or self.strides == (1, 1))
            and kernel_gradient.product_pays(
                self.kernel_size,
                self.strides[0],
                x.shape[-1],
                tuple(self.compute_output_shape(tuple(x.shape))[1:3]),
                devices.cpu_bfloat16(),
            )
        )


def convolve(x: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """Computes `tf.nn.conv2d`, with `kernel_gradient.product` in its gradient.

    Args:
        x: Float tensor (N, H, W, C), static but for N.
        kernel: Tensor (h, w, C, F) of the same dtype.
        stride: Integer, in both directions.
        padding: `"VALID"`, or `"SAME"` with a stride of 1.

    Returns:
        Tensor (N, H', W', F).

    Example:

    >>> from bt_keras.networks.convolution import convolve
    >>> convolve(tf.ones([1, 5, 5, 2]), tf.ones([3, 3, 2, 4]), 2, "VALID").shape
    TensorShape([1, 2, 2, 4])
    """
    strides = [1, stride, stride, 1]

    @tf.custom_gradient
    def op(x, kernel):
        def grad(dy):
            dx = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=dy,
                strides=strides,
                padding=padding,
            )
            size = tuple(kernel.shape[:2])
            return dx, kernel_gradient.product(x, dy, size, stride, padding)

        return tf.nn.conv2d(x, kernel, strides, padding), grad

    return op(x, kernel)
