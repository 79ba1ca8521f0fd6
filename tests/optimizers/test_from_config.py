"""The optimizer that a config describes: rates, schedule and options."""

import keras
import numpy as np
import pytest

from bt_keras import LARS, UsageError
from bt_keras import config as config_lib
from bt_keras.optimizers import build, schedule

STEPS_PER_EPOCH = 10


@pytest.fixture
def config():
    """Batches of 512, so that all learning rates are doubled."""
    config = config_lib.default()
    config.batch_size, config.epochs = 512, 8
    config.optimizer.warmup_epochs = 2.0
    return config


def test_the_schedule_scales_with_the_batch_and_spans_the_run(config):
    rate = schedule(config, 0.2, STEPS_PER_EPOCH)
    assert (rate.peak, rate.warmup_steps, rate.total_steps) == (0.4, 20, 80)
    np.testing.assert_allclose(rate(20), 0.4, rtol=1e-6)
    np.testing.assert_allclose(rate(80), 0.4 * config.optimizer.floor, rtol=1e-6)


def test_lars_has_a_rate_for_weights_and_one_for_biases(config):
    optimizer = build(config, STEPS_PER_EPOCH)
    assert isinstance(optimizer, LARS)
    assert optimizer.bias_learning_rate.peak == 2 * 0.0048 / 16
    assert optimizer.get_config()["learning_rate"]["config"]["peak"] == 0.4
    assert optimizer.coupled_weight_decay == config.optimizer.options.weight_decay


def test_keras_optimizers_get_the_schedule_and_their_options(config):
    config.optimizer.name = "adamw"
    config.optimizer.options = {"weight_decay": 0.1}
    optimizer = build(config, STEPS_PER_EPOCH)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert optimizer.weight_decay == 0.1
    assert optimizer.get_config()["learning_rate"]["config"]["total_steps"] == 80


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("beta_1", "0.9", "a finite number"),
        ("beta_1", True, "a finite number"),
        ("amsgrad", 1, "True or False"),
        ("clipnorm", "1", "a number or None"),
        ("clipnorm", True, "a number or None"),
    ],
)
def test_options_of_another_type(config, name, value, kind):
    config.optimizer.name = "adamw"
    config.optimizer.options = {name: value}
    message = rf"^config\.optimizer\.options\.{name} is .*; it must be {kind}\.$"
    with pytest.raises(UsageError, match=message):
        build(config, STEPS_PER_EPOCH)


def test_unknown_optimizers_and_options_are_errors(config):
    config.optimizer.options = {"speed": 3}
    with pytest.raises(UsageError, match=r"config\.optimizer\.options .*speed"):
        build(config, STEPS_PER_EPOCH)
    config.optimizer.name = "newton"
    with pytest.raises(UsageError, match=r"config\.optimizer\.name is 'newton'"):
        build(config, STEPS_PER_EPOCH)
