"""The gradient of a convolution with respect to its kernel, as one matrix product."""

from __future__ import annotations

import tensorflow as tf


def product_pays(
    size: tuple[int, int],
    stride: int,
    channels: int,
    out: tuple[int, int],
    instructions: str | None,
) -> bool:
    """Returns whether `product` is faster than TensorFlow's bfloat16 kernel.

    The thresholds are measured (`python -m benchmarks.kernel_gradient`) on one CPU with
    AVX512-BF16 and on one with AMX, for the convolutions of ResNet-18 and ResNet-50.

    Args:
        size: Tuple `(h, w)`, the size of the kernel.
        stride: Integer, in both directions.
        channels: Integer, those of the input.
        out: Tuple `(H', W')`, the sides of the output.
        instructions: What `bt_keras.distribution.devices.cpu_bfloat16` returns.

    Example:

    >>> from bt_keras.networks.kernel_gradient import product_pays
    >>> [product_pays((3, 3), 1, 512, (s, s), "amx") for s in (4, 7, 14, 28)]
    [True, True, False, False]
    >>> [product_pays((1, 1), 1, 64, (56, 56), each) for each in ("amx", "avx512")]
    [True, False]
    """
    if instructions is None or channels < 64:
        return False
    copies_nothing = size == (1, 1) and stride == 1
    if copies_nothing and instructions == "amx":
        return True
    copies_little = copies_nothing or stride > 1
    return max(out) <= (14 if copies_little else 7)


def product(
    x: tf.Tensor, dy: tf.Tensor, size: tuple[int, int], stride: int, padding: str
) -> tf.Tensor:
    """Computes the gradient of a convolution's kernel.

    The pixels that every element of the kernel meets are copied next to each other:
    (N H' W', h w C). The gradient is the product of this matrix, transposed, and `dy`,
    so that only the result is rounded, as in TensorFlow's own kernel.

    Args:
        x: Float tensor (N, H, W, C), the input of the convolution, H and W static.
        dy: Float tensor (N, H', W', F), the gradient of its output, static but for N.
        size: Tuple `(h, w)`, the size of the kernel.
        stride: Integer, in both directions.
        padding: `"VALID"`, or `"SAME"` with a stride of 1.

    Returns:
        Tensor (h, w, C, F) of the dtype of `x`.

    Example:

    >>> from bt_keras.networks import kernel_gradient
    >>> x = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    >>> args = x, tf.ones([1, 2, 2, 1]), (2, 2), 1, "VALID"
    >>> kernel_gradient.product(*args)[..., 0, 0].numpy()
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """
    out = dy.shape[1:3]
    rows = _phases(x, size, out, stride, padding)
    taps = [
        _tap(rows, i, j, out, stride) for i in range(size[0]) for j in range(size[1])
    ]
    patches = tf.concat(taps, axis=-1)
    left = tf.reshape(patches, [-1, patches.shape[-1]])
    right = tf.reshape(dy, [-1, dy.shape[-1]])
    gradient = tf.matmul(left, right, transpose_a=True)
    return tf.reshape(gradient, [*size, x.shape[-1], dy.shape[-1]])


def _phases(x, size, out, stride, padding):
    """Pads x and splits its sides: (N, H, stride, W, stride, C).

    TensorFlow's slices with a stride are 10 times slower than those without.
    """
    paddings, sides = [[0, 0]], []
    for side, taps, count in zip(x.shape[1:3], size, out, strict=True):
        before = (taps - 1) // 2 if padding == "SAME" else 0
        blocks = count + (taps - 1) // stride
        needed = blocks * stride
        paddings.append([before, max(needed - before - side, 0)])
        sides.append(blocks)
    x = tf.pad(x, [*paddings, [0, 0]])
    x = x[:, : sides[0] * stride, : sides[1] * stride]
    return tf.reshape(x, [-1, sides[0], stride, sides[1], stride, x.shape[-1]])


def _tap(rows, i, j, out, stride):
    """Returns the pixels (N, H', W', C) that element (i, j) of the kernel meets."""
    top, left = i // stride, j // stride
    return rows[:, top : top + out[0], i % stride, left : left + out[1], j % stride, :]
