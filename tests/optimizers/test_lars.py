import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from tests.conftest import relative_error
from tests.optimizers.biases import steps_of_a_bias

NAMES = ("bias", "matrix", "kernel", "zero")


class Table(keras.optimizers.schedules.LearningRateSchedule):
    """The recorded rate of every step."""

    def __init__(self, rates):
        self.rates = np.float32(rates)

    def __call__(self, step):
        return keras.ops.take(self.rates, keras.ops.cast(step, "int32"))


@pytest.mark.parametrize("run", ["constant", "varying"])
def test_every_step_equals_the_official_rule(recorded, run):
    """Variables of rank 1, 2 and 4, a zero matrix, and gradients of norm 0."""
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
            expected = reference[f"{run}/{name}"][step]
            if np.any(expected):
                assert relative_error(variable, expected) < 1e-6, (name, step)
            else:
                assert not np.any(variable.numpy()), (name, step)


CONFIGURATIONS = {
    "defaults": {},
    "floats": {"learning_rate": 0.5, "bias_learning_rate": 0.01},
    "ratio": {"learning_rate": 0.5, "bias_rate_ratio": 0.5},
    "schedule": {"learning_rate": bt_keras.WarmupCosine(0.2, 0, 100)},
    "schedules": {
        "learning_rate": bt_keras.WarmupCosine(0.2, 0, 100),
        "bias_learning_rate": bt_keras.WarmupCosine(0.0048, 0, 100),
    },
    "options": {
        "momentum": 0.5,
        "weight_decay": 1e-4,
        "trust_coefficient": 0.02,
        "name": "other",
        "clipnorm": 1.0,
        "use_ema": True,
        "ema_momentum": 0.9,
        "gradient_accumulation_steps": 2,
    },
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_config_round_trip(name):
    optimizer = bt_keras.LARS(**CONFIGURATIONS[name])
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert restored.get_config() == optimizer.get_config()
    assert type(restored.bias_learning_rate) is type(optimizer.bias_learning_rate)
    assert steps_of_a_bias(restored) == steps_of_a_bias(optimizer)


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        ({"clipnorm": 1.0}, [0.6, 0.8]),
        ({"global_clipnorm": 1.0}, [0.6, 0.8]),
        ({"clipvalue": 3.5}, [3.0, 3.5]),
    ],
    ids=["clipnorm", "global_clipnorm", "clipvalue"],
)
def test_gradients_are_clipped(arguments, step):
    bias = keras.Variable([0.0, 0.0])
    bt_keras.LARS(1.0, 1.0, **arguments).apply([tf.constant([3.0, 4.0])], [bias])
    np.testing.assert_allclose(bias, np.negative(step), rtol=1e-6)


def test_ema_keeps_the_average_of_the_weights():
    bias = keras.Variable([0.0])
    optimizer = bt_keras.LARS(1.0, 1.0, momentum=0.0, use_ema=True, ema_momentum=0.5)
    for _ in range(3):  # 0, -1, -2, -3; the average starts at the first step's.
        optimizer.apply([tf.ones(1)], [bias])
    optimizer.finalize_variable_values([bias])
    np.testing.assert_allclose(bias, [-2.25], rtol=1e-6)


def test_gradients_are_accumulated():
    bias = keras.Variable([0.0])
    optimizer = bt_keras.LARS(1.0, 1.0, gradient_accumulation_steps=2)
    moved = []
    for gradient in (1.0, 3.0):
        optimizer.apply([tf.constant([gradient])], [bias])
        moved.append(float(bias.numpy()[0]))
    assert moved == [0.0, -2.0]


def test_variables_excluded_from_weight_decay():
    kernels = [keras.Variable([[1.0]], name=name) for name in ("a", "b", "c")]
    optimizer = bt_keras.LARS(1.0, weight_decay=0.1, trust_coefficient=0.5)
    optimizer.exclude_from_weight_decay(var_list=kernels[:1], var_names=["b"])
    optimizer.build(kernels)
    optimizer.apply([tf.zeros((1, 1))] * 3, kernels)
    # The third has decay as its gradient, which the trust ratio scales to 0.5.
    np.testing.assert_allclose(np.ravel([k.numpy() for k in kernels]), [1, 1, 0.5])


@pytest.mark.parametrize(
    "argument",
    [
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"trust_coefficient": 0.0},
        {"bias_rate_ratio": -1.0},
    ],
)
def test_arguments_out_of_range_are_reported(argument):
    with pytest.raises(bt_keras.UsageError, match=next(iter(argument))):
        bt_keras.LARS(0.1, **argument)


@pytest.mark.parametrize(
    "argument",
    [
        "learning_rate",
        "bias_learning_rate",
        "momentum",
        "weight_decay",
        "trust_coefficient",
        "bias_rate_ratio",
        "clipnorm",
        "ema_momentum",
        "loss_scale_factor",
    ],
)
def test_values_that_are_no_numbers_are_reported(argument):
    for value in (float("nan"), float("inf"), -1.0, "0.1", True, [0.1], bt_keras.LARS):
        with pytest.raises(bt_keras.UsageError, match=rf"^{argument}=[^\n]*$"):
            bt_keras.LARS(**{argument: value})


def test_default_names_differ_as_in_keras():
    keras.backend.clear_session()  # It counts the names.
    optimizers = [bt_keras.LARS(), bt_keras.LARS(0.1), bt_keras.LARS(name="mine")]
    assert [each.name for each in optimizers] == ["lars", "lars_1", "mine"]
    restored = bt_keras.LARS.from_config(optimizers[1].get_config())
    assert restored.name == "lars_1"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"clipnorm": 1.0},
        {"clipvalue": 3.0},
        {"loss_scale_factor": 2.0},
        {"gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_sparse_gradients_train_like_dense_ones(arguments):
    rows = tf.constant([[1.0, 2.0], [3.0, 4.0], [50.0, 6.0]])
    # Row 0 twice, whose sum is clipped.
    sparse = tf.IndexedSlices(rows, tf.constant([0, 2, 0]), tf.constant([4, 2]))
    dense = tf.constant([[51.0, 8.0], [0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    kernels = []
    for gradient in (sparse, dense):
        kernel = keras.Variable(np.arange(1, 9, dtype="float32").reshape(4, 2))
        optimizer = bt_keras.LARS(0.5, trust_coefficient=0.1, **arguments)
        for _ in range(2):
            optimizer.apply([gradient], [kernel])
        kernels.append(kernel.numpy())
    np.testing.assert_array_equal(*kernels)
    assert kernels[0][0, 0] < 0.99
