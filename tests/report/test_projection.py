"""Maps of features that are constructed."""

import sys

import numpy as np
import pytest

from bt_keras.report import projection


def orthogonal(rows, columns, seed=0):
    """Returns centered orthonormal columns."""
    values = np.random.default_rng(seed).normal(size=(rows, columns))
    return np.linalg.qr(values - values.mean(axis=0))[0]


def test_principal_components_keep_a_plane():
    plane = orthogonal(30, 2) * [3.0, 1.0]
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0][:2]
    points = projection.principal_components(plane @ rotation + 4.0)
    np.testing.assert_allclose(np.abs(points), np.abs(plane), atol=1e-9)


def test_one_feature_has_one_component():
    points = projection.principal_components(np.arange(4.0)[:, np.newaxis])
    np.testing.assert_allclose(np.abs(points[:, 0]), [1.5, 0.5, 0.5, 1.5])
    assert not points[:, 1].any()


def test_tsne_keeps_groups_together():
    rng = np.random.default_rng(3)
    centers = np.eye(3, 8).repeat(20, axis=0)
    features = centers + 0.01 * rng.normal(size=centers.shape)
    method, points = projection.two_dimensions(features)
    assert method == "t-SNE"
    distances = np.linalg.norm(points[:, np.newaxis] - points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) // 20 == np.arange(60) // 20).all()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_features_that_are_all_equal_are_one_point(value):
    method, points = projection.two_dimensions(np.full((20, 6), value, np.float32))
    assert method == "principal components"
    assert not points.any()


def test_without_scikit_learn_the_map_is_that_of_the_components(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    features = np.random.default_rng(4).normal(size=(20, 6))
    method, points = projection.two_dimensions(features)
    assert method == "principal components"
    np.testing.assert_allclose(points, projection.principal_components(features))
