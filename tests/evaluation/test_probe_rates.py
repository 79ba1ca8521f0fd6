import logging as python_logging

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras import config as config_lib
from bt_keras.evaluation import probe_rates
from bt_keras.evaluation.cached_linear_probe import CachedLinearProbe
from bt_keras.evaluation.evaluator import build_evaluator
from bt_keras.evaluation.feature_batches import shuffled_batches
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.linear_probe import LinearProbe
from bt_keras.evaluation.probe_rates import layers_of_rates, probe_accuracies
from tests.evaluation.gray import scores

CLASSES, WIDTH, DECAY, MOMENTUM, EPOCHS, SEED = 4, 12, 0.02, 0.9, 5, 3


def features(count=400, classes=CLASSES, noise=2.0):
    """Returns features of noisy classes, of very different sizes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, count)
    centers = np.random.default_rng(7).normal(size=(classes, WIDTH))
    rows = centers[labels] + noise * rng.normal(size=(count, WIDTH))
    rows = 5 + rows * 10.0 ** rng.integers(-2, 3, WIDTH)
    return Features(rows.astype("float32"), labels)


def sgd(batches, rate, weights):
    """Trains one linear layer in float64, with a rate that falls with each batch."""
    weights = [w.astype("float64") for w in weights]
    velocity = [np.zeros_like(w) for w in weights]
    for number, (x, labels) in enumerate(batches):
        logits = x @ weights[0] + weights[1]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(p)), labels] -= 1
        gradients = [x.T @ p / len(p), p.mean(0)]
        for i, gradient in enumerate(gradients):
            gradient = gradient + DECAY * weights[i]
            velocity[i] = MOMENTUM * velocity[i] - rate / (1 + number) * gradient
            weights[i] = weights[i] + velocity[i]
    return weights


def test_a_weight_of_the_loss_is_a_rate_of_sgd():
    rates = (1.0, 0.1, 0.001)
    model = layers_of_rates(WIDTH, CLASSES, rates, MOMENTUM, DECAY, SEED)
    layers = [model.get_layer(f"rate_{number}") for number in range(3)]
    initial = [layer.get_weights() for layer in layers]
    for weights in initial[1:]:
        np.testing.assert_array_equal(weights[0], initial[0][0])
    assert 0.005 < initial[0][0].std() < 0.015
    split = features()
    batches = [
        (x.numpy(), labels.numpy())
        for x, labels in shuffled_batches(split, split.moments, 32, SEED).take(20)
    ]
    for number, (x, labels) in enumerate(batches):
        model.optimizer.learning_rate = 1 / (1 + number)
        model.train_on_batch(x, [labels] * 3)
    for layer, weights, rate in zip(layers, initial, rates, strict=True):
        expected = sgd(batches, rate, weights)
        for found, value in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)


def accuracies(split, rates, **changed):
    sgd = {"epochs": EPOCHS, "batch_size": 32, "momentum": MOMENTUM, "seed": SEED}
    arguments = {"schedule": lambda done: 1 - done, "weight_decay": 0.0, **sgd}
    return probe_accuracies(split, CLASSES, rates, **{**arguments, **changed})


def test_accuracies_are_those_of_the_held_out_rows():
    split = features(noise=0.5)
    alone = [accuracies(split, (rate,))[0] for rate in (0.1, 1e-7)]
    assert accuracies(split, (0.1, 1e-7)) == alone
    assert alone[0] > 0.9 > 0.6 > alone[1]


def test_the_best_rate_is_used_and_shown(frozen, caplog, capsys):
    grid = {"rates": "grid", "grid_learning_rates": (1e-6, 0.3, 1e-5)}
    probe = CachedLinearProbe(epochs=10, batch_size=16, learning_rate=0.05, **grid)
    with caplog.at_level(python_logging.WARNING):
        [results] = probe.run(frozen)
    assert [result.settings for result in results] == [
        {"epochs": 10, "learning_rate": 0.3, "rates": "grid"}
    ] * 2
    assert "by rate: 1e-06: " in capsys.readouterr().out
    assert (
        "the best rate, 0.3, is at the end of config.evaluation.linear" in caplog.text
    )
    # The result is that of a probe with this rate, and the probe itself is unchanged.
    same = CachedLinearProbe(epochs=10, batch_size=16, learning_rate=0.3)
    assert scores(same, frozen) == {r.metric: r.value for r in results}
    assert (probe.learning_rate, probe.rates) == (0.05, "grid")


def test_the_exact_probe_keeps_the_rate_of_the_paper():
    config = config_lib.default()
    config.evaluation.linear.rates = "grid"
    cached, exact = (
        build_evaluator(name, config.evaluation, 0)
        for name in ("linear_cached", "linear")
    )
    assert (cached.rates, type(exact)) == ("grid", LinearProbe)
    assert not hasattr(exact, "rates")
    assert cached.grid_learning_rates == CachedLinearProbe().grid_learning_rates


def test_large_features_are_sampled_and_trained_on_for_as_many_steps(monkeypatch):
    split, steps = features(classes=2), []
    fit = probe_rates.keras.Model.fit

    def counted(model, *args, epochs, steps_per_epoch, **kwargs):
        steps.append(epochs * steps_per_epoch)
        return fit(model, *args, epochs=1, steps_per_epoch=1, **kwargs)

    monkeypatch.setattr(probe_rates.keras.Model, "fit", counted)
    accuracies(split, (0.1,), batch_size=10)
    monkeypatch.setattr(probe_rates, "WHOLE_BYTES", 4 * WIDTH * 100)
    accuracies(split, (0.1,), batch_size=10)
    assert steps[0] == EPOCHS * 36
    assert steps[1] == pytest.approx(steps[0], rel=0.05)
    rows = probe_rates._sample(split, seed=0)
    rest, held_out = probe_rates._divided(split, rows, seed=0)
    assert abs(len(rest.labels) - 90) <= 2
    assert abs(len(held_out.labels) - 10) <= 2
    for part in (rest, held_out):
        share = np.bincount(part.labels) / len(part.labels)
        expected = np.bincount(split.labels) / len(split.labels)
        np.testing.assert_allclose(share, expected, atol=0.06)


def test_half_precision_features_are_divided():
    split = features()
    half = Features(split.features.astype("float16"), split.labels)
    rest, _ = probe_rates._divided(half, np.arange(400), seed=0)
    assert rest.features.dtype == np.float16
    assert accuracies(half, (0.1,))[0] > 0.3


def test_classes_of_single_images_are_an_error():
    split = Features(np.zeros((3, 2), "float32"), np.arange(3))
    with pytest.raises(UsageError, match=r"no class has two of the 3 .*rates='paper'"):
        accuracies(split, (0.1,))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"rates": "best"}, "rates"),
        ({"grid_learning_rates": ()}, "grid_learning_rates is empty"),
        ({"grid_learning_rates": (0.1, -1)}, "grid_learning_rates"),
    ],
)
def test_bad_arguments_are_errors(arguments, name):
    with pytest.raises(UsageError, match=name):
        CachedLinearProbe(**arguments)
