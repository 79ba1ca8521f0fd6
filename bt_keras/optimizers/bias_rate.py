"""The learning rate of biases, which follows the learning rate of weights."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from bt_keras import checks
from bt_keras.errors import UsageError


class BiasRate:
    """The rate of variables of rank 0 and 1: a float, a schedule, or a ratio.

    A change of `learning_rate` by a factor changes this rate by the same factor: it is
    `value * learning_rate / reference`, where `reference` is the learning rate that
    `value` was given for. Without a change the factor is exactly 1.

    Args:
        rate: Float, function of the step, or `None` for `ratio * learning_rate`.
        ratio: Float >= 0.
        optimizer: Keras optimizer, which gets the variables. Without a reference, if
            its learning rate is a schedule, a float stays as it is.
    """

    def __init__(self, rate, ratio: float, optimizer: keras.optimizers.Optimizer):
        self.ratio = ratio
        self.schedule = rate if callable(rate) else None
        self.from_ratio = rate is None
        self.value = self.reference = None
        learning_rate = optimizer._learning_rate
        follows = isinstance(learning_rate, keras.Variable)
        if follows:
            start = 1.0 if rate is None else float(learning_rate.numpy())
            self.reference = _add(optimizer, start, "bias_reference_rate")
        if self.schedule is None and (follows or rate is not None):
            start = ratio if rate is None else rate
            self.value = _add(optimizer, start, "bias_learning_rate")

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that files from before this class lack."""
        return [v for v in (self.reference, self.value) if v is not None]

    def current(self, learning_rate, step):
        """Returns the rate at a step, a scalar or a variable.

        Args:
            learning_rate: Scalar, the rate of weights at this step.
            step: Integer scalar.
        """
        if self.value is None and self.schedule is None:
            return self.ratio * learning_rate
        value = self.value if self.schedule is None else self.schedule(step)
        if self.reference is None:
            return value
        reference = ops.convert_to_tensor(self.reference)
        usable = ops.where(reference > 0, reference, 1.0)
        changed = ops.logical_and(reference > 0, learning_rate != reference)
        return value * ops.where(changed, learning_rate / usable, 1.0)

    def assign(self, rate, optimizer: keras.optimizers.Optimizer) -> None:
        """Sets the rate; the learning rate of now becomes its reference."""
        if callable(rate):
            if self.value is not None:
                optimizer._untrack_variable(self.value)
            self.schedule, self.value = rate, None
        elif self.value is None:
            raise TypeError(
                "The rate of biases follows a `LearningRateSchedule`, so that it is "
                "not settable: make the optimizer with float rates."
            )
        else:
            self.value.assign(rate)
        if self.reference is not None:
            self.reference.assign(optimizer.learning_rate)
        self.from_ratio = False

    def synchronized(self, optimizer: keras.optimizers.Optimizer):
        """Returns the variable of the current rate, or the rate if it has none."""
        rate = self.current(optimizer.learning_rate, optimizer._iterations)
        if self.value is None or self.reference is None:
            return rate if self.value is None else self.value
        in_step = (
            tf.distribute.has_strategy()
            and not tf.distribute.in_cross_replica_context()
        )
        if in_step or not tf.executing_eagerly():
            return rate
        if not optimizer.learning_rate.numpy() > 0:
            return rate
        if not np.array_equal(self.reference.numpy(), optimizer.learning_rate.numpy()):
            self.value.assign(rate)
            self.reference.assign(optimizer.learning_rate)
        return self.value

    def config(self, optimizer: keras.optimizers.Optimizer):
        """Returns the constructor's argument that gives the current rate."""
        if self.schedule is not None:
            return keras.saving.serialize_keras_object(self.schedule)
        if self.value is None:
            return None
        if self.from_ratio:
            value, reference = self.value.numpy(), self.reference.numpy()
            if value == value.dtype.type(self.ratio) * reference:
                return None
        return float(np.asarray(self.current(optimizer.learning_rate, 0)))

    def stop_following(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Forgets the reference, after the learning rate has become a schedule."""
        if self.reference is not None:
            optimizer._untrack_variable(self.reference)
            if self.from_ratio and self.value is not None:
                optimizer._untrack_variable(self.value)
                self.value = None
            self.reference = None


def checked_rate(name: str, rate):
    """Returns a learning rate after checking it.

    Args:
        name: String, the argument's name for the message.
        rate: Float, scalar tensor or variable, or a function of the step.

    Returns:
        Float, or the function.

    Raises:
        UsageError: If it is anything else, NaN, infinite or negative.
    """
    if isinstance(rate, type):
        raise UsageError(f"{name}={checks.described(rate)} must be an instance of it.")
    if callable(rate):
        return rate
    if isinstance(rate, (np.ndarray, tf.Tensor, tf.Variable, keras.Variable)):
        rate = np.asarray(rate)
        rate = rate.item() if rate.size == 1 else rate
    return float(checks.number(name, rate, checks.NOT_NEGATIVE))


def _add(optimizer, value, name):
    """Adds a variable like that of the learning rate."""
    return optimizer.add_variable(
        shape=(),
        initializer=keras.initializers.Constant(value),
        dtype=keras.config.floatx(),
        aggregation="only_first_replica",
        name=name,
    )
