"""Values of a snapshot, against direct computations."""

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.callbacks import readings
from bt_keras.callbacks.snapshot import Snapshot

WEIGHTS = [np.full((3, 4), 0.5), np.ones(4), np.full((4, 2), -2.0)]
GRADIENTS = [np.random.default_rng(1).normal(size=w.shape) for w in WEIGHTS]


@pytest.fixture
def snapshot():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 16, 40)).astype("float32")
    features = rng.normal(size=(2, 16, 8)).astype("float32")
    pairs = list(zip(WEIGHTS, GRADIENTS, strict=True))
    return Snapshot(
        batch=16,
        features=(features[0], features[1]),
        embeddings=(z[0], z[1]),
        loss=50.0,
        redundancy=90.0,
        weight_norms=np.array([np.linalg.norm(w) for w, _ in pairs]),
        gradient_norms=np.array([np.linalg.norm(g) for _, g in pairs]),
        dots=np.array([np.sum(w * g) for w, g in pairs]),
        views=None,
    )


def test_representation(snapshot):
    values = readings.of_representation(snapshot, lambd=0.01)
    kappa = 0.01 * (40 / 15 - 1)
    assert values["loss_above_floor"] == pytest.approx(50 - 40 * kappa / (1 + kappa))
    assert values["off_diagonal"] == pytest.approx(np.sqrt(90 / (40 * 39)))
    singular = np.linalg.svd(snapshot.features[0], compute_uv=False)
    shares = singular / singular.sum()
    rank = np.exp(-np.sum(shares * np.log(shares)))
    assert values["feature_rank"] == pytest.approx(rank, rel=1e-4)
    assert 8 < values["embedding_rank"] <= 16


def test_features_that_are_not_finite_have_no_rank(snapshot):
    snapshot.features[0][3, 2] = np.inf
    assert np.isnan(readings.of_representation(snapshot, 0.01)["feature_rank"])


def test_norms(snapshot):
    values = readings.of_gradients(snapshot)
    for name, arrays in (("gradient_norm", GRADIENTS), ("weight_norm", WEIGHTS)):
        whole = np.concatenate([array.ravel() for array in arrays])
        assert values[name] == pytest.approx(np.linalg.norm(whole))


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_trust_ratios(snapshot, decay):
    variables = [
        keras.Variable(w, name=name) for w, name in zip(WEIGHTS, "abc", strict=True)
    ]
    lars = bt_keras.LARS(0.1, weight_decay=decay, trust_coefficient=0.02)
    lars.build(variables)
    expected = {
        name: 0.02 * np.linalg.norm(w) / np.linalg.norm(g + decay * w)
        for name, w, g in zip("abc", WEIGHTS, GRADIENTS, strict=True)
        if w.ndim > 1
    }
    ratios = readings.trust_ratios(snapshot, variables, lars)
    assert ratios == pytest.approx(expected)
    assert list(ratios.values()) == sorted(ratios.values())


def test_lars_is_found_inside_a_loss_scale():
    lars = bt_keras.LARS(0.1)
    assert readings.lars_of(keras.optimizers.LossScaleOptimizer(lars)) is lars
    assert readings.lars_of(keras.optimizers.SGD()) is None
