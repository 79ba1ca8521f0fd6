import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from tests.conftest import relative_error

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


def steps_of_a_bias(optimizer, count=1):
    """How far each of `count` steps moves a bias whose gradient is 1."""
    bias, steps = keras.Variable([0.0]), []
    for _ in range(count):
        before = bias.numpy()
        optimizer.apply([tf.ones(1)], [bias])
        steps.append(float((before - bias.numpy())[0]))
    return steps


@pytest.mark.parametrize(
    ("arguments", "rate"),
    [
        ({}, 0.5 * 0.0015),
        ({"bias_learning_rate": 0.01}, 0.01),
        ({"bias_learning_rate": 0.5}, 0.5),
        ({"bias_rate_ratio": 1.0}, 0.5),
        ({"bias_rate_ratio": 0.0}, 0.0),
        ({"bias_learning_rate": bt_keras.WarmupCosine(0.2, 0, 10)}, 0.2),
    ],
    ids=["default", "float", "equal", "ratio 1", "ratio 0", "schedule"],
)
def test_bias_rate(arguments, rate):
    optimizer = bt_keras.LARS(0.5, **arguments)
    np.testing.assert_allclose(steps_of_a_bias(optimizer), [rate], rtol=1e-6)


def test_default_bias_rate_follows_the_schedule():
    schedule = bt_keras.WarmupCosine(0.4, 2, 10)
    steps = steps_of_a_bias(bt_keras.LARS(schedule, momentum=0.0), count=5)
    expected = [0.0015 * float(schedule(step)) for step in range(5)]
    np.testing.assert_allclose(steps, expected, rtol=1e-4, atol=1e-10)


def test_default_bias_rate_follows_an_assigned_learning_rate():
    """Keras's callbacks, such as `ReduceLROnPlateau`, assign `learning_rate`."""
    optimizer = bt_keras.LARS(0.5)
    optimizer.learning_rate = 0.25
    np.testing.assert_allclose(steps_of_a_bias(optimizer), [0.25 * 0.0015], rtol=1e-6)


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


@pytest.mark.parametrize("rate", [0.5, bt_keras.WarmupCosine(0.5, 0, 100)])
def test_old_config_without_a_bias_rate_means_one_rate_for_all(rate):
    config = keras.optimizers.serialize(bt_keras.LARS(rate))
    del config["config"]["bias_rate_ratio"]
    assert config["config"]["bias_learning_rate"] is None
    optimizer = keras.optimizers.deserialize(config)
    np.testing.assert_allclose(steps_of_a_bias(optimizer), [0.5], rtol=1e-6)
    # Saved again, it keeps this meaning.
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    np.testing.assert_allclose(steps_of_a_bias(again), [0.5], rtol=1e-6)


def biased_model(optimizer):
    """Dense layers with biases, between images and embeddings."""
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 3))
    features = keras.layers.Dense(8)(keras.layers.Flatten()(images))
    model = bt_keras.BarlowTwins(
        keras.Model(images, features),
        keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "relu")]),
    )
    model.compile(optimizer=optimizer)
    return model


def test_plain_fit_moves_biases_at_their_own_rate_also_after_loading(tmp_path):
    views = np.random.default_rng(0).normal(size=(2, 8, 4, 4, 3)).astype("float32")

    def fit(model, epochs):
        model.fit(*views, epochs=epochs, shuffle=False, verbose=0)
        return [value.numpy() for value in model.trainable_variables]

    default = fit(biased_model(bt_keras.LARS(0.2)), 4)
    explicit = fit(biased_model(bt_keras.LARS(0.2, 0.2 * 0.0015)), 4)
    for value, expected in zip(default, explicit, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-9)

    model = biased_model(bt_keras.LARS(0.2))
    fit(model, 2)
    model.save(tmp_path / "model.keras")
    resumed = fit(keras.models.load_model(tmp_path / "model.keras"), 2)
    for value, expected in zip(resumed, default, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-9)


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


def moved(model, **fit):
    """The largest changes of kernels and of biases in a `fit` of two steps."""
    views = np.random.default_rng(0).normal(size=(2, 8, 4, 4, 3)).astype("float32")
    before = [v.numpy() for v in model.trainable_variables]
    model.fit(*views, batch_size=4, shuffle=False, verbose=0, **fit)
    changes = [
        float(np.abs(v.numpy() - old).max())
        for v, old in zip(model.trainable_variables, before, strict=True)
    ]
    ranks = [len(v.shape) for v in model.trainable_variables]
    return (
        max(c for c, rank in zip(changes, ranks, strict=True) if rank > 1),
        max(c for c, rank in zip(changes, ranks, strict=True) if rank < 2),
    )


@pytest.mark.parametrize("bias_rate", [None, 0.05])
def test_rates_are_set_between_fits_and_by_callbacks(bias_rate):
    model = biased_model(bt_keras.LARS(0.5, bias_rate, trust_coefficient=0.1))
    optimizer = model.optimizer
    assert min(moved(model)) > 0
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    assert moved(model, callbacks=[scheduler]) == (0, 0)
    assert moved(model) == (0, 0)
    optimizer.learning_rate = 0.5
    assert min(moved(model)) > 0
    optimizer.learning_rate.assign(0.0)
    assert moved(model) == (0, 0)
    optimizer.learning_rate = 0.5
    optimizer.bias_learning_rate = 0.0
    kernels, biases = moved(model)
    assert kernels > 0
    assert biases == 0
    optimizer.bias_learning_rate.assign(0.05)
    assert min(moved(model)) > 0
    plateau = keras.callbacks.ReduceLROnPlateau("loss", 0.1, patience=1, min_delta=1e9)
    views = np.random.default_rng(0).normal(size=(2, 8, 4, 4, 3)).astype("float32")
    model.fit(*views, epochs=3, verbose=0, callbacks=[plateau])
    rate = float(optimizer.learning_rate)
    assert rate < 0.5
    expected = 0.05 * rate / 0.5
    np.testing.assert_allclose(optimizer.current_bias_rate(), expected, rtol=1e-6)
    np.testing.assert_allclose(optimizer.bias_learning_rate, expected, rtol=1e-6)


def test_a_factor_on_the_learning_rate_applies_to_biases():
    optimizer = bt_keras.LARS(0.5, 0.01, momentum=0.0)
    for rate in (0.5, 0.25, 0.0, 1.0, 0.5):
        optimizer.learning_rate = rate
        step = steps_of_a_bias(bt_keras.LARS.from_config(optimizer.get_config()))
        np.testing.assert_allclose(step, [0.01 * rate / 0.5], rtol=1e-6)
    bias_schedule = bt_keras.LARS(0.5, bt_keras.WarmupCosine(0.2, 0, 10))
    bias_schedule.learning_rate = 0.25
    np.testing.assert_allclose(steps_of_a_bias(bias_schedule), [0.1], rtol=1e-6)


def test_a_start_at_zero_keeps_the_ratio_of_biases():
    optimizer = bt_keras.LARS(0.0)
    optimizer.learning_rate = 0.5
    np.testing.assert_allclose(steps_of_a_bias(optimizer), [0.5 * 0.0015], rtol=1e-6)


def test_rates_that_nobody_changes_have_the_same_bits():
    for rate, bias_rate in ((0.2, 0.01), (0.3, 0.7), (1 / 3, 1e-5), (1e-8, 3e-3)):
        now = bt_keras.LARS(rate, bias_rate).current_bias_rate()
        assert np.asarray(now) == np.float32(bias_rate)
        now = bt_keras.LARS(rate).current_bias_rate()
        assert np.asarray(now) == np.float32(0.0015) * np.float32(rate)


def test_schedules_cannot_be_set_as_in_keras():
    schedule = bt_keras.WarmupCosine(0.2, 0, 10)
    optimizer = bt_keras.LARS(schedule)
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1
    with pytest.raises(TypeError, match="not settable"):
        optimizer.bias_learning_rate = 0.1
    # A float beside a schedule is constant, and can be set.
    optimizer = bt_keras.LARS(schedule, 0.01)
    optimizer.bias_learning_rate = 0.02
    np.testing.assert_allclose(steps_of_a_bias(optimizer), [0.02], rtol=1e-6)


@pytest.mark.parametrize("bias_rate", [None, 0.01])
def test_floats_can_become_schedules(bias_rate):
    optimizer = bt_keras.LARS(0.5, bias_rate)
    optimizer.learning_rate = bt_keras.WarmupCosine(0.2, 0, 10)
    expected = bias_rate or 0.2 * 0.0015
    np.testing.assert_allclose(steps_of_a_bias(optimizer), [expected], rtol=1e-6)
    restored = bt_keras.LARS.from_config(optimizer.get_config())
    assert len(restored.variables) == len(optimizer.variables) - 1  # The momentum.
    optimizer = bt_keras.LARS(0.5, bias_rate)
    optimizer.bias_learning_rate = bt_keras.WarmupCosine(0.2, 0, 10)
    np.testing.assert_allclose(steps_of_a_bias(optimizer), [0.2], rtol=1e-6)


@pytest.mark.parametrize("bias_rate", [None, 0.01])
def test_assigned_rates_are_saved(tmp_path, bias_rate):
    model = biased_model(bt_keras.LARS(0.5, bias_rate))
    model.optimizer.learning_rate = 0.25
    assert model.optimizer.get_config()["bias_learning_rate"] == pytest.approx(
        bias_rate and 0.005
    )
    model.optimizer.bias_learning_rate = 0.02
    model.optimizer.learning_rate = 0.0
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    restored = keras.models.load_model(tmp_path / "model.keras")
    again = biased_model(bt_keras.LARS(0.5, bias_rate))
    again.load_weights(tmp_path / "model.weights.h5")
    for optimizer in (restored.optimizer, again.optimizer):
        assert float(optimizer.learning_rate) == 0
        assert float(np.asarray(optimizer.current_bias_rate())) == 0
        optimizer.learning_rate = 0.5
        rate = float(np.asarray(optimizer.current_bias_rate()))
        assert rate == pytest.approx(0.04)


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


def test_rates_that_are_no_numbers_cannot_be_set():
    optimizer = bt_keras.LARS(0.5)
    for value in (float("nan"), float("inf"), -1.0, "0.1", None):
        with pytest.raises(bt_keras.UsageError, match=r"^learning_rate="):
            optimizer.learning_rate = value
        with pytest.raises(bt_keras.UsageError, match=r"^bias_learning_rate="):
            optimizer.bias_learning_rate = value
    optimizer.learning_rate = np.float32(0.25)
    optimizer.learning_rate = tf.constant(0.25)
    assert float(optimizer.learning_rate) == 0.25


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
