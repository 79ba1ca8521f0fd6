"""Layer-wise adaptive rate scaling (You et al., arXiv 1708.03888)."""

from __future__ import annotations

import keras
import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from bt_keras import checks
from bt_keras.optimizers.bias_rate import BiasRate, checked_rate

# The official code trains weights at 0.2 and biases at 0.0048, on gradients that come
# out divided by its 16 replicas. LARS normalizes that factor away for weights alone, so
# that for the true gradients of the global batch the ratio is 0.0048 / 16 / 0.2.
BIAS_RATE_RATIO = 0.0015

# The arguments of Keras's base class that are numbers, if they are not None.
_BASE_NUMBERS = {
    "clipnorm": checks.NOT_NEGATIVE,
    "global_clipnorm": checks.NOT_NEGATIVE,
    "clipvalue": checks.NOT_NEGATIVE,
    "ema_momentum": checks.FRACTION,
    "ema_overwrite_frequency": checks.COUNT,
    "loss_scale_factor": checks.POSITIVE,
    "gradient_accumulation_steps": checks.WHOLE,
}


@keras.saving.register_keras_serializable("bt_keras")
class LARS(keras.optimizers.Optimizer):
    r"""LARS as the official Barlow Twins code defines it.

    For every variable p of rank 2 or more with gradient g:

        g ← g + weight_decay · p
        q = trust_coefficient · ‖p‖ / ‖g‖      (1 where either norm is 0)
        μ ← momentum · μ + q · g
        p ← p - learning_rate · μ

    The norm ‖g‖ includes the decay term; other libraries add two norms. There is no
    Nesterov momentum. Variables of rank 0 and 1 (biases, the scale and offset of batch
    norm) use neither weight decay nor q. They have momentum and their own learning
    rate.

    **The rate of biases.** Without q, a bias moves in proportion to its gradient, and
    at the rate of the weights it moves far too fast. By default its rate is
    `0.0015 * learning_rate`, and follows a schedule or an assignment to
    `learning_rate`. This is the official ratio: 0.2 for weights and 0.0048 for biases,
    whose gradients come out divided by its 16 replicas, while the gradients here are
    those of the global batch; 0.0048 / 16 = 3e-4 is 0.0015 times 0.2. For one rate for
    all variables pass `bias_rate_ratio=1.0`. For the official rates as written, pass
    both: `LARS(0.2, bias_learning_rate=0.0048)`.

    **Changing the rates.** Rates that are floats become variables: assign to
    `optimizer.learning_rate` and `optimizer.bias_learning_rate` between calls of
    `fit`. A change of `learning_rate` by a factor, as by
    `keras.callbacks.LearningRateScheduler` or `ReduceLROnPlateau`, changes the rate of
    biases by the same factor, also if it was given; a rate of 0 stops all variables.
    Assigning `bias_learning_rate` sets this rate alone. As in Keras, a rate that is a
    schedule cannot be set to a float.

    Args:
        learning_rate: Float or `LearningRateSchedule`, the rate of variables of rank 2
            and more. The paper's peak, 0.2 · batch / 256, is for hundreds of thousands
            of steps; a run of a few hundred needs a larger rate or trust coefficient.
            Defaults to `0.2`.
        bias_learning_rate: Float or `LearningRateSchedule`, the rate of variables of
            rank 0 and 1. `None` for `bias_rate_ratio * learning_rate`. Defaults to
            `None`.
        momentum: Float in [0, 1). Defaults to `0.9`.
        weight_decay: Float >= 0, added to the gradient (coupled, unlike the
            `weight_decay` of Keras's optimizers). Defaults to `1e-6`.
        trust_coefficient: Float > 0, the paper's η. Defaults to `1e-3`.
        name: Optional string. Defaults to `"lars"`, then `"lars_1"` and so on, as for
            Keras's optimizers.
        bias_rate_ratio: Float >= 0, the rate of biases divided by `learning_rate`.
            Unused if `bias_learning_rate` is given. Defaults to `0.0015`.
        **kwargs: Keyword arguments of `keras.optimizers.Optimizer`, such as
            `clipnorm`, `use_ema` or `gradient_accumulation_steps`.

    Raises:
        UsageError: If an argument is not a number, NaN, infinite or out of range.

    Example:

    >>> optimizer = bt_keras.LARS(0.2)
    >>> kernel, bias = keras.Variable([[2.0]]), keras.Variable([2.0])
    >>> optimizer.build([kernel, bias])
    >>> optimizer.apply([tf.constant([[4.0]]), tf.constant([1.0])])
    >>> kernel.numpy()  # 2 - 0.2 · 1e-3 · ‖2‖ / ‖4‖ · 4
    array([[1.9996]], dtype=float32)
    >>> bias.numpy()  # 2 - 0.0015 · 0.2 · 1
    array([1.9997], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.2,
        bias_learning_rate: float | LearningRateSchedule | None = None,
        momentum: float = 0.9,
        weight_decay: float = 1e-6,
        trust_coefficient: float = 1e-3,
        name: str | None = None,
        *,
        bias_rate_ratio: float = BIAS_RATE_RATIO,
        **kwargs,
    ):
        for option in _BASE_NUMBERS.keys() & kwargs.keys():
            if kwargs[option] is not None:
                checks.number(option, kwargs[option], _BASE_NUMBERS[option])
        learning_rate = checked_rate("learning_rate", learning_rate)
        # The base class's weight decay is decoupled from the gradient and stays off.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        if isinstance(bias_learning_rate, dict):  # Serialized by `get_config`.
            bias_learning_rate = keras.saving.deserialize_keras_object(
                bias_learning_rate
            )
        if bias_learning_rate is not None:
            bias_learning_rate = checked_rate("bias_learning_rate", bias_learning_rate)

        def checked(option, value):
            return checks.number(option, value, checks.LARS[option])

        self.momentum = checked("momentum", momentum)
        self.coupled_weight_decay = checked("weight_decay", weight_decay)
        self.trust_coefficient = checked("trust_coefficient", trust_coefficient)
        self.bias_rate_ratio = checked("bias_rate_ratio", bias_rate_ratio)
        self._bias_rate = BiasRate(bias_learning_rate, self.bias_rate_ratio, self)
        self._bias_rate_now = None

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates one momentum variable per trainable variable.

        Args:
            variables: List of `keras.Variable`, the trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        self.momenta = self.add_optimizer_variables(variables, "momentum")

    @property
    def learning_rate(self):
        """The rate of variables of rank 2 and more, as in Keras's optimizers."""
        return keras.optimizers.Optimizer.learning_rate.fget(self)

    @learning_rate.setter
    def learning_rate(self, rate):
        rate = checked_rate("learning_rate", rate)
        keras.optimizers.Optimizer.learning_rate.fset(self, rate)
        if callable(rate):
            self._bias_rate.stop_following(self)

    @property
    def bias_learning_rate(self):
        """The rate of variables of rank 0 and 1: a variable, or the schedule.

        `None` if `learning_rate` is a schedule, of which it is a constant share.
        """
        if self._bias_rate.schedule is not None:
            return self._bias_rate.schedule
        return self._bias_rate.synchronized(self) if self._bias_rate.variables else None

    @bias_learning_rate.setter
    def bias_learning_rate(self, rate):
        self._bias_rate.assign(checked_rate("bias_learning_rate", rate), self)

    def current_bias_rate(self) -> float | tf.Tensor:
        """Returns the rate of variables of rank 0 and 1 at the current step."""
        # Not `iterations`, which counts accumulated updates: the base class evaluates
        # its own schedule at this step, too.
        return self._bias_rate.current(self.learning_rate, self._iterations)

    def apply(self, grads, trainable_variables=None):
        """Updates the variables; see `keras.optimizers.Optimizer.apply`."""
        # Clipping needs the sums of the rows that a sparse gradient has several times.
        grads = [
            tf.convert_to_tensor(g) if isinstance(g, tf.IndexedSlices) else g
            for g in grads
        ]
        # Evaluated once per step, not once per bias.
        self._bias_rate_now = self.current_bias_rate()
        try:
            return super().apply(grads, trainable_variables)
        finally:
            self._bias_rate_now = None  # A tensor of the graph that was traced.

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its momentum.

        Args:
            gradient: Float tensor with the shape of `variable`.
            variable: `keras.Variable`.
            learning_rate: Float scalar, used for variables of rank 2 and more.
        """
        momentum = self.momenta[self._get_variable_index(variable)]
        decay = self.weight_decay_of(variable)
        variable, momentum = _resource(variable), _resource(momentum)
        gradient = tf.cast(gradient, variable.dtype)
        if variable.shape.rank > 1:
            value = tf.convert_to_tensor(variable)
            if decay:
                # After the gradient: a graph would compute and hold these terms of all
                # weights from the start of the step.
                with tf.control_dependencies([gradient]):
                    gradient += decay * value
            # Half the squared norm of each, in one pass and without a temporary.
            norms = [tf.sqrt(tf.nn.l2_loss(each)) for each in (value, gradient)]
            gradient *= trust_ratio(*norms, self.trust_coefficient)
        else:
            learning_rate = self._bias_rate_now
        # Momentum and weights in one pass: μ ← momentum μ + g, p ← p - rate μ.
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=momentum.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype),
        )

    def weight_decay_of(self, variable: keras.Variable) -> float:
        """Returns the weight decay that is added to the gradient of a variable.

        Args:
            variable: `keras.Variable`, a trainable variable.

        Returns:
            Float, 0 for variables of rank 0 and 1 and for those that are excluded from
            weight decay.
        """
        decays = len(variable.shape) > 1 and self._use_weight_decay(variable)
        return self.coupled_weight_decay if decays else 0.0

    def load_own_variables(self, store):
        """Restores the variables; files of earlier versions lack those of the rates."""
        own = self._bias_rate.variables
        if own and len(store.keys()) == len(self.variables) - len(own):
            ids = {id(variable) for variable in own}
            older = [v for v in self.variables if id(v) not in ids]
            for index, variable in enumerate(older):
                variable.assign(store[str(index)])
        else:
            super().load_own_variables(store)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "bias_learning_rate": self._bias_rate.config(self),
            "bias_rate_ratio": self.bias_rate_ratio,
            "momentum": self.momentum,
            "weight_decay": self.coupled_weight_decay,
            "trust_coefficient": self.trust_coefficient,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> LARS:
        # Files from before `bias_rate_ratio` mean one rate for all variables by None.
        if "bias_learning_rate" in config:
            config = {"bias_rate_ratio": 1.0, **config}
        return super().from_config(config, custom_objects)


def trust_ratio(
    weight_norm: tf.Tensor, gradient_norm: tf.Tensor, coefficient: float
) -> tf.Tensor:
    """Computes the factor q of `LARS` for a gradient.

    Args:
        weight_norm: Float tensor >= 0, the norm of a variable, or those of several.
        gradient_norm: Float tensor of the same shape, the norm of its gradient with
            the decay term. Both may be multiplied by the same number.
        coefficient: Float > 0, the trust coefficient.

    Returns:
        Tensor of that shape, 1 where either norm is 0.

    Example:

    >>> from bt_keras.optimizers.lars import trust_ratio
    >>> trust_ratio(tf.constant([2.0, 0.0]), tf.constant([4.0, 4.0]), 0.1).numpy()
    array([0.05, 1.  ], dtype=float32)
    """
    usable = tf.logical_and(weight_norm > 0, gradient_norm > 0)
    ratio = weight_norm / tf.where(usable, gradient_norm, 1.0)
    return tf.where(usable, coefficient * ratio, 1.0)


def _resource(variable):
    """Returns the `tf.Variable` inside a Keras variable, this device's replica."""
    return variable.value if isinstance(variable, keras.Variable) else variable
