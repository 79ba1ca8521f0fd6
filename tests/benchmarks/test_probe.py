"""The parts of the comparison of probes, where the answer is known."""

import types

import numpy as np
import pytest

from benchmarks import probe


def clusters(seed, n=512):
    """Two classes far apart in 4 features."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, n)
    features = generator.normal(size=(n, 4)) + 6.0 * labels[:, None]
    return features.astype("float32"), labels


def test_widened_features_are_those_of_one_random_layer():
    train, test = clusters(0), clusters(1, 64)
    assert probe._widened(train, test, 0) == (train, test)
    (wide, labels), (wide_test, _) = probe._widened(train, test, 16)
    assert wide.shape == (512, 16)
    assert wide_test.shape == (64, 16)
    np.testing.assert_array_equal(labels, train[1])
    # Both splits pass through the same layer: a row has the same features in both.
    (_, _), (again, _) = probe._widened(train, (train[0][:5], train[1][:5]), 16)
    np.testing.assert_allclose(again, wide[:5], rtol=1e-6)
    standardized = (train[0] - train[0].mean(0)) / (train[0].std(0) + 1e-6)
    # ReLU(x W) for some W: what is positive is linear in x.
    column = wide[:, 0] > 0
    fit = np.linalg.lstsq(standardized[column], wide[column, 0], rcond=None)[0]
    np.testing.assert_allclose(np.maximum(standardized @ fit, 0), wide[:, 0], atol=1e-4)


def test_probes_separate_what_can_be_separated():
    train, test = clusters(0), clusters(1)
    values = types.SimpleNamespace(quick=False)
    assert probe._online(train, test, 2, 3e-2, 20) > 0.99
    assert probe._online(train, test, 2, 1e-9, 1) < 0.9  # It has hardly trained.
    assert probe._afterwards(train, test, 2, values) > 0.99


def test_the_cost_is_a_difference_of_medians(monkeypatch):
    seconds = iter([[9.0, 9.0, 1.0, 1.0, 4.0], [9.0, 9.0, 3.0, 3.0, 3.0]])

    class Clock:
        def __new__(cls):
            import keras

            clock = keras.callbacks.Callback()
            clock.seconds = next(seconds)
            return clock

    monkeypatch.setattr("benchmarks.clock.StepClock", Clock)
    values = types.SimpleNamespace(quick=True)
    assert probe._cost(clusters(0), 2, values) == pytest.approx(2.0)
