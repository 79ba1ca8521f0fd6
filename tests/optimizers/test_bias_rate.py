"""The learning rate of biases, by itself and beside that of the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from tests.optimizers.biases import steps_of_a_bias


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
