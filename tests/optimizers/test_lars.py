import keras
import numpy as np
import pytest

import bt_keras
from tests.conftest import relative_error

NAMES = ("bias", "matrix", "kernel", "zero")


class Table(keras.optimizers.schedules.LearningRateSchedule):
    """The recorded rates, step by step."""

    def __init__(self, rates):
        self.rates = np.float32(rates)

    def __call__(self, step):
        return keras.ops.take(self.rates, keras.ops.cast(step, "int32"))


@pytest.mark.parametrize("run", ["constant", "varying"])
def test_follows_the_official_rule_step_by_step(recorded, run):
    """Ranks 1, 2 and 4, a zero matrix, and gradients of norm 0."""
    reference = recorded("lars")
    variables = [keras.Variable(reference[f"initial/{name}"]) for name in NAMES]
    rates, bias_rates = reference[f"{run}/rates"].T
    optimizer = bt_keras.LARS(
        Table(rates),
        bias_learning_rate=Table(bias_rates),
        momentum=float(reference[f"{run}/momentum"]),
        weight_decay=float(reference[f"{run}/weight_decay"]),
        trust_coefficient=float(reference[f"{run}/trust_coefficient"]),
    )
    for step in range(len(rates)):
        gradients = [reference[f"gradients/{name}"][step] for name in NAMES]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        for name, variable in zip(NAMES, variables, strict=True):
            theirs = reference[f"{run}/{name}"][step]
            if np.any(theirs):
                assert relative_error(variable, theirs) < 1e-6, (name, step)
            else:
                assert not np.any(variable.numpy()), (name, step)


def test_biases_follow_the_weights_rate_unless_they_have_their_own():
    gradient = [keras.ops.ones((3,))]
    steps = []
    for rate in (None, 0.01):
        variable = keras.Variable(np.zeros(3, "float32"))
        bt_keras.LARS(0.5, bias_learning_rate=rate).apply(gradient, [variable])
        steps.append(variable.numpy()[0])
    np.testing.assert_allclose(steps, [-0.5, -0.01], rtol=1e-6)


def test_comes_back_from_its_config():
    optimizer = bt_keras.LARS(
        bt_keras.WarmupCosine(0.2, 10, 100),
        bias_learning_rate=bt_keras.WarmupCosine(0.0048, 10, 100),
        weight_decay=1e-4,
        clipnorm=1.0,
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert isinstance(again.bias_learning_rate, bt_keras.WarmupCosine)


@pytest.mark.parametrize(
    "argument", [{"momentum": 1.0}, {"weight_decay": -1.0}, {"trust_coefficient": 0.0}]
)
def test_values_out_of_range_are_named(argument):
    with pytest.raises(bt_keras.UsageError, match=next(iter(argument))):
        bt_keras.LARS(0.1, **argument)
