"""Batch normalisation as torchvision has it: fused, and synchronised over replicas."""

import keras
import tensorflow as tf

from bt_keras.distribution import collectives


@keras.saving.register_keras_serializable("bt_keras")
class BatchNormalization(keras.layers.Layer):
    """Normalises each channel over the global batch (and space).

    Differs from `keras.layers.BatchNormalization` in three ways. One replica runs
    TensorFlow's fused kernel. Several replicas share statistics always, through one
    packed all-reduce forward and one backward. And the moving variance is the
    unbiased one, as PyTorch has it (Keras stores the biased), so that weights and
    statistics move between the two without a change.

    Args:
        momentum: float in [0, 1), how much of the moving statistics a step keeps
            (Keras's meaning of the word; PyTorch's is one minus this).
        epsilon: float > 0, added to the variance.
        gamma_initializer: initializer of the scale; `"zeros"` for the last one of a
            residual block.
        **kwargs: of `keras.layers.Layer` (`name`, `dtype`, `trainable`).

    Input: float Tensor (N, C) or (N, H, W, C); the output has its shape. Statistics
    and the arithmetic are float32 under mixed precision. With `training=True` a layer
    whose `trainable` is False still normalises with its moving statistics, as
    Keras's own does.

    Example:

    >>> layer = BatchNormalization()
    >>> layer(tf.random.normal((32, 64)), training=True).shape
    TensorShape([32, 64])
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, gamma_initializer="ones", **kwargs):
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
                # Every replica computes the same statistics: any copy will do.
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
        if collectives.num_replicas() == 1:
            args = (inputs, gamma, beta, mean, variance, self.epsilon, True)
            outputs, batch_mean, batch_variance = _fused(*args)
        else:
            outputs, batch_mean, batch_variance = _synchronised(
                inputs, gamma, beta, shift=mean, epsilon=self.epsilon
            )
        # One batch that is not finite must not spoil all that come after it.
        batch_mean = tf.where(tf.math.is_finite(batch_mean), batch_mean, mean)
        finite = tf.math.is_finite(batch_variance)
        batch_variance = tf.where(finite, batch_variance, variance)
        keep = self.momentum
        self.moving_mean.assign(keep * mean + (1.0 - keep) * batch_mean)
        self.moving_variance.assign(keep * variance + (1.0 - keep) * batch_variance)
        return outputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }


def _fused(x, gamma, beta, mean, variance, epsilon, is_training):
    """TensorFlow's kernel: one pass over `x` a direction, its variance unbiased."""
    if x.dtype == tf.float64:  # The one dtype the kernel does not know.
        return _composed(x, gamma, beta, mean, variance, epsilon, is_training)
    rank2 = x.shape.rank == 2
    outputs = tf.raw_ops.FusedBatchNormV3(
        x=x[:, tf.newaxis, tf.newaxis, :] if rank2 else x,
        scale=gamma,
        offset=beta,
        # In training the kernel computes these itself.
        mean=tf.zeros([0]) if is_training else mean,
        variance=tf.zeros([0]) if is_training else variance,
        epsilon=epsilon,
        is_training=is_training,
    )
    y = tf.squeeze(outputs.y, [1, 2]) if rank2 else outputs.y
    return y, outputs.batch_mean, outputs.batch_variance


def _composed(x, gamma, beta, mean, variance, epsilon, is_training):
    """`_fused` for float64, in elementary operations."""
    unbiased = variance
    if is_training:
        mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
        count = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
    outputs = tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)
    return outputs, mean, unbiased


def _synchronised(x, gamma, beta, shift, epsilon):
    """Normalises with the statistics of all replicas' rows.

    Args:
        x: float Tensor (n, ..., C), this replica's rows.
        gamma: Tensor (C,), the scale.
        beta: Tensor (C,), the offset.
        shift: Tensor (C,), the same on every replica and near the mean: sums of
            squares are taken about it, so that their difference keeps its digits.
        epsilon: float.

    Returns:
        `(outputs, mean, variance)`, the variance unbiased; no gradient flows through
        the last two.
    """
    axes = list(range(x.shape.rank - 1))

    @tf.custom_gradient
    def normalise(x, gamma, beta):
        dtype = x.dtype
        x = tf.cast(x, gamma.dtype)
        count = tf.cast(tf.size(x) // x.shape[-1], gamma.dtype)
        mean, variance = tf.nn.moments(x, axes=axes)
        first = count * (mean - shift)
        second = count * (variance + tf.square(mean - shift))
        count, first, second = collectives.all_reduce_sum([count, first, second])
        variance = second / count - tf.square(first / count)
        mean = shift + first / count
        inverse = tf.math.rsqrt(variance + epsilon)
        standard = (x - mean) * inverse
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)

        def grad(dy, *_):
            dy = tf.cast(dy, gamma.dtype)
            dbeta = tf.reduce_sum(dy, axis=axes)
            dgamma = tf.reduce_sum(dy * standard, axis=axes)
            all_dbeta, all_dgamma = collectives.all_reduce_sum([dbeta, dgamma])
            dx = dy - all_dbeta / count - standard * (all_dgamma / count)
            return tf.cast(gamma * inverse * dx, dtype), dgamma, dbeta

        outputs = tf.cast(standard * gamma + beta, dtype)
        return (outputs, tf.stop_gradient(mean), tf.stop_gradient(unbiased)), grad

    return normalise(x, gamma, beta)
