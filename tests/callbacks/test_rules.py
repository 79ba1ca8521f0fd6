"""Each rule speaks once, where it should, and names what it saw."""

import dataclasses
import math

import pytest

from bt_keras.callbacks import rules

GOOD = rules.Reading(
    batch=256,
    features=128,
    width=1024,
    lambd=5e-3,
    learning_rate=0.1,
    loss=60.0,
    lowest_loss=58.0,
    floor=15.2,
    feature_std=0.06,
    dead_features=0.01,
    diagonal=0.8,
    off_diagonal=0.08,
    settled=True,
)
# For each rule, what is wrong with a run, and what the sentence contains.
BAD = [
    (rules.collapse, {"feature_std": 1e-4}, "0.0001"),
    (rules.collapse, {"feature_std": 0.0, "dead_features": 1.0}, "same ones"),
    (rules.dead_features, {"dead_features": 0.4}, "the same for all images"),
    (rules.rate_too_high, {"loss": 120.0}, "58"),
    (rules.rate_too_high, {"loss": math.nan}, "nan"),
    (rules.lambda_out_of_balance, {"off_diagonal": 0.7}, "raise it"),
    (
        rules.lambda_out_of_balance,
        {"diagonal": 0.05, "off_diagonal": 0.07, "lambd": 0.05},
        "lower it",
    ),
    (rules.batch_too_small, {"batch": 16, "floor": 400.0}, "batch of 16"),
]


def changed(**fields):
    return dataclasses.replace(GOOD, **fields)


def test_a_good_run_has_no_warnings():
    once = rules.Rules()
    assert [once(GOOD) for _ in range(3)] == [[]] * 3


@pytest.mark.parametrize(("rule", "fields", "text"), BAD)
def test_a_bad_run_has_one_warning(rule, fields, text):
    reading = changed(**fields)
    assert text in rule(reading)
    assert [r for r in rules.RULES if r(reading)] == [rule]
    once = rules.Rules()
    spoken = [sentence for _ in range(rules.SETTLED + 5) for sentence in once(reading)]
    assert spoken == [rule(reading)]


def test_one_bad_reading_is_no_warning():
    once, bad = rules.Rules(), changed(loss=120.0)
    assert [once(reading) for reading in (bad, GOOD, bad, GOOD)] == [[]] * 4
    assert [len(once(bad)) for _ in range(3)] == [0, 1, 0]


def test_the_first_loss_is_not_too_high():
    assert rules.rate_too_high(changed(lowest_loss=math.inf)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"loss": 3.0, "lowest_loss": 1.0, "floor": 0.5},  # Near 0, of D = 1,024.
        {"loss": 220.0, "floor": 110.0, "batch": 32},  # The last, smaller batch.
    ],
)
def test_noise_and_smaller_batches_are_no_high_rate(fields):
    assert rules.rate_too_high(changed(**fields)) is None


def test_lambda_is_judged_when_the_run_has_settled():
    reading = changed(off_diagonal=0.7, settled=False)
    assert rules.lambda_out_of_balance(reading) is None
    once = rules.Rules()
    spoken = [len(once(reading)) for _ in range(rules.SETTLED + 3)]
    assert spoken == [0] * rules.SETTLED + [1, 0, 0]


@pytest.mark.parametrize(
    ("first", "last", "settled"),
    [
        ({}, {}, True),
        ({"off_diagonal": 0.1}, {"off_diagonal": 0.07}, False),
        ({"off_diagonal": 0.07}, {"off_diagonal": 0.1}, True),
        ({"diagonal": 0.02}, {"diagonal": 0.1}, False),
        ({"diagonal": 0.001}, {"diagonal": 0.002}, True),  # Noise.
        ({"diagonal": 0.1}, {"diagonal": 0.02}, True),
        ({"learning_rate": 0.05}, {}, False),  # Warm-up.
        ({}, {"learning_rate": 0.05}, True),
    ],
)
def test_a_run_has_settled_when_c_no_longer_improves(first, last, settled):
    half = rules.SETTLED // 2
    readings = [changed(**first)] * half + [changed(**last)] * half
    assert rules.is_settled(readings) == settled
    assert not rules.is_settled(readings[1:])


@pytest.mark.parametrize(
    "fields",
    [
        {"off_diagonal": 0.7, "diagonal": 0.3},  # Nothing is learned.
        {"diagonal": 0.05, "off_diagonal": 0.07},  # The loss is that of the diagonal.
    ],
)
def test_lambda_is_not_to_blame_for_everything(fields):
    assert rules.lambda_out_of_balance(changed(**fields)) is None


def test_features_that_agree_although_all_are_uncorrelated_are_balanced():
    """The aim of training: only a low diagonal shows that lambda is too large."""
    reading = changed(diagonal=0.95, off_diagonal=0.02)
    assert rules.lambda_out_of_balance(reading) is None
