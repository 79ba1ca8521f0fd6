"""Layer-wise adaptive rate scaling (You et al., arXiv 1708.03888)."""

import keras
import tensorflow as tf

from bt_keras.errors import UsageError


@keras.saving.register_keras_serializable("bt_keras")
class LARS(keras.optimizers.Optimizer):
    r"""LARS as Barlow Twins trains with it.

    For every variable p of rank 2 or more with gradient g:

        g ← g + weight_decay · p
        q = trust_coefficient · ‖p‖ / ‖g‖      (1 where either norm is 0)
        μ ← momentum · μ + q · g
        p ← p - learning_rate · μ

    Variables of rank 1 and less (biases, batch norm's scale and offset) have neither
    decay nor adaptation, g and q being as they are; they keep the momentum and have
    a learning rate of their own. No Nesterov. This is the official implementation's
    rule: the norm is that of g with the decay in it, where other libraries add two
    norms.

    Args:
        learning_rate: float or `LearningRateSchedule` for variables of rank 2 and
            more; the paper's peak is 0.2 · batch / 256.
        bias_learning_rate: float or `LearningRateSchedule` for variables of rank 1
            and less; None for the same as `learning_rate`. The official peak of
            0.0048 · batch / 256 is for gradients divided by its 16 replicas: 3e-4 for
            ours.
        momentum: float in [0, 1).
        weight_decay: float >= 0, added to the gradient (not decoupled).
        trust_coefficient: float > 0, the paper's η.
        name: str.
        **kwargs: of `keras.optimizers.Optimizer` (`clipnorm`, `use_ema`,
            `loss_scale_factor`, `gradient_accumulation_steps`, ...).

    Raises:
        UsageError: for a momentum, decay or trust coefficient out of range.

    Example:

    >>> schedule = bt_keras.WarmupCosine(0.2, warmup_steps=100, total_steps=1000)
    >>> model.compile(optimizer=bt_keras.LARS(schedule, bias_learning_rate=3e-4))
    """

    def __init__(
        self,
        learning_rate=0.2,
        bias_learning_rate=None,
        momentum=0.9,
        weight_decay=1e-6,
        trust_coefficient=1e-3,
        name="lars",
        **kwargs,
    ):
        # The base class's weight decay is decoupled from the gradient: stays off.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if not 0 <= momentum < 1:
            raise UsageError(f"momentum={momentum} must lie in [0, 1).")
        if weight_decay < 0:
            raise UsageError(f"weight_decay={weight_decay} must not be negative.")
        if not trust_coefficient > 0:
            raise UsageError(f"trust_coefficient={trust_coefficient} must be > 0.")
        if isinstance(bias_learning_rate, dict):  # As `get_config` wrote it.
            bias_learning_rate = keras.saving.deserialize_keras_object(
                bias_learning_rate
            )
        self.bias_learning_rate = bias_learning_rate
        self._bias_rate_now = None
        self.momentum = momentum
        self.coupled_weight_decay = weight_decay
        self.trust_coefficient = trust_coefficient

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self.momenta = self.add_optimizer_variables(variables, "momentum")

    def apply(self, grads, trainable_variables=None):
        # Once a step, not once for every bias. Not `iterations`, which counts
        # accumulated updates: the base class gives its own schedule this one too.
        rate = self.bias_learning_rate
        self._bias_rate_now = rate(self._iterations) if callable(rate) else rate
        try:
            return super().apply(grads, trainable_variables)
        finally:
            self._bias_rate_now = None  # Of the graph that was being traced.

    def update_step(self, gradient, variable, learning_rate):
        momentum = self.momenta[self._get_variable_index(variable)]
        variable, momentum = _resource(variable), _resource(momentum)
        gradient = tf.cast(tf.convert_to_tensor(gradient), variable.dtype)
        if variable.shape.rank > 1:
            value = tf.convert_to_tensor(variable)
            if self.coupled_weight_decay:
                gradient += self.coupled_weight_decay * value
            gradient *= self._trust_ratio(value, gradient)
        elif self._bias_rate_now is not None:
            learning_rate = self._bias_rate_now
        # Momentum and weights in one pass: μ ← momentum μ + g, p ← p - rate μ.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=momentum.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
        )

    def _trust_ratio(self, value, gradient):
        # Half the squared norm of each, in one pass and without a temporary.
        weight_norm = tf.sqrt(tf.nn.l2_loss(value))
        gradient_norm = tf.sqrt(tf.nn.l2_loss(gradient))
        usable = tf.logical_and(weight_norm > 0, gradient_norm > 0)
        ratio = weight_norm / tf.where(usable, gradient_norm, 1.0)
        return tf.where(usable, self.trust_coefficient * ratio, 1.0)

    def get_config(self):
        bias = self.bias_learning_rate
        if isinstance(bias, keras.optimizers.schedules.LearningRateSchedule):
            bias = keras.saving.serialize_keras_object(bias)
        return {
            **super().get_config(),
            "bias_learning_rate": bias,
            "momentum": self.momentum,
            "weight_decay": self.coupled_weight_decay,
            "trust_coefficient": self.trust_coefficient,
        }


def _resource(variable):
    """The `tf.Variable` inside a Keras variable; under a strategy, this device's."""
    return variable.value if isinstance(variable, keras.Variable) else variable
