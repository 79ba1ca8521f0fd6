"""Batch normalization with PyTorch's statistics, synchronized over replicas."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import keras
import tensorflow as tf

from bt_keras.distribution import collectives, devices
from bt_keras.networks.view_norm import normalize_views

_views = contextvars.ContextVar("views", default=1)


@contextlib.contextmanager
def stacked_views(count: int) -> Iterator[None]:
    """Normalizes every view of a stacked batch with its own statistics.

    Args:
        count: Integer, the number of views. A batch (count * n, ..., C) has the n rows
            of the first view, then those of the second, and so on.

    Example:

    >>> from bt_keras.networks import BatchNormalization
    >>> from bt_keras.networks.batch_norm import stacked_views
    >>> layer, rows = BatchNormalization(), tf.constant([[1.0], [3], [10], [30]])
    >>> with stacked_views(2):
    ...     y = layer(rows, training=True)
    >>> y.numpy().round(3).ravel()
    array([-1.,  1., -1.,  1.], dtype=float32)
    """
    token = _views.set(count)
    try:
        yield
    finally:
        _views.reset(token)


@keras.saving.register_keras_serializable("bt_keras")
class BatchNormalization(keras.layers.Layer):
    """Normalizes each channel over the global batch and all pixels.

    Differences from `keras.layers.BatchNormalization`:

    - One replica uses TensorFlow's fused kernel.
    - Several replicas always share their statistics, through one packed all-reduce
      forward and one backward.
    - The moving variance is the unbiased one, as in PyTorch (Keras stores the biased
      one), so that weights and statistics are exchanged with PyTorch unchanged.

    Args:
        momentum: Float in [0, 1), the fraction of the moving statistics that a step
            keeps, as in Keras (PyTorch's momentum is one minus this). Defaults to
            `0.9`.
        epsilon: Float > 0, added to the variance. Defaults to `1e-5`.
        gamma_initializer: Initializer of the scale; `"zeros"` in the last batch norm of
            a residual block. Defaults to `"ones"`.
        **kwargs: Keyword arguments of `keras.layers.Layer` (`name`, `dtype`,
            `trainable`).

    Call arguments:
        inputs: Float tensor (N, C) or (N, H, W, C). Statistics and arithmetic are
            float32 under mixed precision.
        training: Boolean, whether to normalize with the statistics of the batch and to
            update the moving ones. A layer with `trainable = False` always uses its
            moving statistics, as in Keras. Defaults to `False`.

    Example:

    >>> from bt_keras.networks import BatchNormalization
    >>> layer = BatchNormalization(momentum=0.9)
    >>> layer(tf.constant([[1.0], [3.0]]), training=True).numpy().round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    >>> [v.numpy().round(3) for v in (layer.moving_mean, layer.moving_variance)]
    [array([0.2], dtype=float32), array([1.1], dtype=float32)]
    """

    def __init__(
        self,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        gamma_initializer: str | keras.Initializer = "ones",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build(self, input_shape):
        shape = (input_shape[-1],)

        def add(name, initializer, trainable):
            return self.add_weight(
                shape=shape,
                initializer=initializer,
                trainable=trainable,
                autocast=False,
                # Statistics are equal on all replicas: no reduction is needed.
                aggregation="none" if trainable else "only_first_replica",
                name=name,
            )

        self.gamma = add("gamma", self.gamma_initializer, True)
        self.beta = add("beta", "zeros", True)
        self.moving_mean = add("moving_mean", "zeros", False)
        self.moving_variance = add("moving_variance", "ones", False)
        self.built = True

    def call(self, inputs, training=False):
        gamma, beta = (tf.convert_to_tensor(v) for v in (self.gamma, self.beta))
        mean = tf.convert_to_tensor(self.moving_mean)
        variance = tf.convert_to_tensor(self.moving_variance)
        if not (training and self.trainable):
            return _fused(inputs, gamma, beta, mean, variance, self.epsilon, False)[0]
        views = _views.get()
        is_fused = views == 1 or not devices.is_accelerated()
        if is_fused and collectives.num_replicas() == 1:
            outputs, moments = _fused_views(inputs, gamma, beta, self.epsilon, views)
        else:
            args = (inputs, gamma, beta, mean, self.epsilon, views)
            outputs, *moments = normalize_views(*args)
            moments = zip(*map(tf.unstack, moments), strict=True)
        for batch_mean, batch_variance in moments:
            # A batch with non-finite statistics must not spoil all later ones.
            mean = self._moved(mean, batch_mean)
            variance = self._moved(variance, batch_variance)
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance)
        return outputs

    def _moved(self, moving, batch):
        batch = tf.where(tf.math.is_finite(batch), batch, moving)
        return self.momentum * moving + (1.0 - self.momentum) * batch

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }


def _fused_views(x, gamma, beta, epsilon, views):
    """Normalizes each view by itself; returns outputs and pairs of mean, variance."""
    # Without a copy on a CPU, unlike the concatenation.
    parts = tf.split(x, views) if views > 1 else [x]
    fused = [_fused(part, gamma, beta, None, None, epsilon, True) for part in parts]
    outputs = [output for output, *_ in fused]
    moments = [moments for _, *moments in fused]
    return tf.concat(outputs, axis=0) if views > 1 else outputs[0], moments


def _fused(x, gamma, beta, mean, variance, epsilon, is_training):
    """TensorFlow's fused kernel; returns outputs, mean and unbiased variance."""
    if x.dtype == tf.float64:  # Not supported by the kernel.
        return _composed(x, gamma, beta, mean, variance, epsilon, is_training)
    rank2 = x.shape.rank == 2
    outputs = tf.raw_ops.FusedBatchNormV3(
        x=x[:, tf.newaxis, tf.newaxis, :] if rank2 else x,
        scale=gamma,
        offset=beta,
        # In training the kernel computes these.
        mean=tf.zeros([0]) if is_training else mean,
        variance=tf.zeros([0]) if is_training else variance,
        epsilon=epsilon,
        is_training=is_training,
    )
    y = tf.squeeze(outputs.y, [1, 2]) if rank2 else outputs.y
    return y, outputs.batch_mean, outputs.batch_variance


def _composed(x, gamma, beta, mean, variance, epsilon, is_training):
    """Computes `_fused` for float64, with elementary operations."""
    unbiased = variance
    if is_training:
        mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
        count = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
    outputs = tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)
    return outputs, mean, unbiased
