import logging as python_logging

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras import config as config_lib
from bt_keras.evaluation import probe_rates
from bt_keras.evaluation.evaluator import build_evaluator
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.linear_probe import CachedLinearProbe, LinearProbe
from bt_keras.evaluation.probe_rates import probe_accuracies
from tests.evaluation.gray import scores


def features(count=400, width=12, classes=4, noise=2.0, seed=0):
    """Returns features of noisy classes, of very different sizes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centers = np.random.default_rng(7).normal(size=(classes, width))
    rows = centers[labels] + noise * rng.normal(size=(count, width))
    return Features((5 + rows * 10.0 ** rng.integers(-2, 3, width)).astype("f"), labels)


def sgd(split, rows, held_out, rate, epochs, batch_size, seed, weights):
    """Trains one linear layer in float64; returns the accuracy of the held-out rows."""
    mean, deviation = split.moments
    x = (split.features - mean) / (deviation + 1e-6)
    kernel, bias = weights.astype("float64"), np.zeros(weights.shape[1])
    velocity = [np.zeros_like(kernel), np.zeros_like(bias)]
    batches = probe_rates.shuffled_batches(
        Features(split.features[rows], split.labels[rows]),
        split.moments,
        batch_size,
        seed,
    )
    steps = -(-len(rows) // batch_size)
    for number, (batch, labels) in enumerate(batches.take(steps * epochs)):
        batch, labels = batch.numpy().astype("float64"), labels.numpy()
        logits = batch @ kernel + bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(p)), labels] -= 1
        gradients = [batch.T @ p / len(p) + 0.02 * kernel, p.mean(0) + 0.02 * bias]
        now = rate * (1 - (number // steps) / epochs)
        for i, gradient in enumerate(gradients):
            velocity[i] = 0.9 * velocity[i] - now * gradient
        kernel, bias = kernel + velocity[0], bias + velocity[1]
    logits = x[held_out] @ kernel + bias
    return np.mean(logits.argmax(1) == split.labels[held_out])


def test_each_rate_is_that_of_sgd_in_float64(monkeypatch):
    split, rates, epochs = features(), (1.0, 0.1, 0.001), 5
    held_out = probe_rates.held_out_positions(split.labels, 0.1, 3)
    rows = np.setdiff1d(np.arange(len(split.labels)), held_out)
    weights = np.random.default_rng(0).normal(0, 0.01, (12, 4)).astype("float32")
    original = probe_rates.linear_layer

    def linear_layer(num_classes, **kwargs):
        layer = original(num_classes, **kwargs)
        layer.kernel_initializer = lambda shape, dtype: weights
        return layer

    monkeypatch.setattr(probe_rates, "linear_layer", linear_layer)
    found = probe_accuracies(
        split,
        4,
        rates,
        schedule=lambda epoch: 1 - epoch / epochs,
        epochs=epochs,
        batch_size=32,
        momentum=0.9,
        weight_decay=0.02,
        seed=3,
    )
    expected = [
        sgd(split, rows, held_out, rate, epochs, 32, 3, weights) for rate in rates
    ]
    assert found == pytest.approx(expected, abs=1e-6)
    assert len(set(found)) > 1


def test_the_best_rate_is_used_and_named(frozen, caplog):
    grid = {"rates": "grid", "grid_learning_rates": (1e-6, 0.3, 1e-5)}
    probe = CachedLinearProbe(epochs=10, batch_size=16, learning_rate=0.05, **grid)
    with caplog.at_level(python_logging.INFO):
        [results] = probe.run(frozen)
    assert [result.settings for result in results] == [
        {"epochs": 10, "learning_rate": 0.3, "rates": "grid"}
    ] * 2
    assert caplog.text.count("of the held-out training images") == 3
    # The result is that of a probe with this rate, and the probe itself is unchanged.
    same = CachedLinearProbe(epochs=10, batch_size=16, learning_rate=0.3)
    assert scores(same, frozen) == {r.metric: r.value for r in results}
    assert probe.learning_rate == 0.05


def test_the_exact_probe_keeps_the_rate_of_the_paper():
    config = config_lib.default()
    config.evaluation.linear.rates = "grid"
    cached, exact = (
        build_evaluator(name, config.evaluation, 0)
        for name in ("linear_cached", "linear")
    )
    assert (cached.rates, type(exact)) == ("grid", LinearProbe)
    assert not hasattr(exact, "rates")


def test_many_features_are_sampled(monkeypatch):
    monkeypatch.setattr(probe_rates, "WHOLE_BYTES", 4 * 12 * 100)
    split = features(classes=2)
    rest, held_out = probe_rates._divided(split, seed=0)
    counts = np.bincount(split.labels)
    for part, count in ((rest, 90), (held_out, 10)):
        assert abs(len(part.labels) - count) <= 2
        share = np.bincount(part.labels) / len(part.labels)
        np.testing.assert_allclose(share, counts / len(split.labels), atol=0.06)


def test_classes_of_single_images_are_an_error():
    split = Features(np.zeros((3, 2), "float32"), np.arange(3))
    with pytest.raises(UsageError, match=r"rates='grid'.*use rates='paper'"):
        probe_rates._divided(split, seed=0)


def test_unknown_rates_are_an_error():
    with pytest.raises(UsageError, match="rates"):
        CachedLinearProbe(rates="best")
