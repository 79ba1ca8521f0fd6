"""Statistics of features and embeddings, against direct computations."""

import numpy as np
import pytest

from bt_keras.callbacks import representation


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def correlation_matrix(z_a, z_b):
    """The whole matrix C, by its definition, with the loss's eps."""
    a, b = (z - z.mean(0) for z in (z_a, z_b))
    deviations = [np.sqrt((z**2).mean(0) + 1e-5) for z in (a, b)]
    return a.T @ b / len(a) / np.outer(*deviations)


@pytest.fixture
def embeddings(rng):
    z_a = rng.normal(size=(24, 2100)).astype("float32")  # More than one block.
    return z_a, z_a + 0.5 * rng.normal(size=z_a.shape).astype("float32")


def test_diagonal(embeddings):
    expected = np.diag(correlation_matrix(*embeddings))
    actual = representation.diagonal(*embeddings)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert 0.8 < actual.mean() < 1.0


def test_correlations_are_the_corner_of_the_matrix(embeddings):
    expected = correlation_matrix(*embeddings)[:256, :256]
    actual = representation.correlations(*embeddings, 256)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)
    narrow = [z[:, :3] for z in embeddings]
    assert representation.correlations(*narrow, 256).shape == (3, 3)


def test_off_diagonal_is_a_root_mean_square(embeddings):
    c = correlation_matrix(*(z[:, :50] for z in embeddings))
    beside = c[~np.eye(50, dtype=bool)]
    actual = representation.off_diagonal(np.sum(beside**2), 50)
    np.testing.assert_allclose(actual, np.sqrt(np.mean(beside**2)))
    assert representation.off_diagonal(0.0, 1) == 0


def test_the_standard_deviation_of_random_directions(rng):
    features = rng.normal(size=(4000, 64)) * rng.uniform(1, 9, (4000, 1))
    assert representation.feature_std(features) == pytest.approx(1 / 8, rel=0.01)


def test_the_standard_deviation_of_equal_directions(rng):
    directions = np.outer(rng.uniform(1, 2, 10), rng.normal(size=5))
    assert representation.feature_std(directions) < 1e-8
    assert representation.feature_std(np.zeros((4, 3))) == 0


def test_dead_dimensions(rng):
    features = rng.normal(size=(10, 8)).astype("float32")
    assert representation.dead_share(features) == 0
    features[:, 0] = 0
    features[:, 3] = 0.7
    assert representation.dead_share(features) == 0.25
    features[4, 3] = 0.71
    assert representation.dead_share(features) == 0.125
    assert representation.dead_share(np.zeros((10, 8))) == 1
