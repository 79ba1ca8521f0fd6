import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from bt_keras.scores.k_means import k_means


def blobs(clusters, spread, count=400):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, clusters, count)
    centers = rng.normal(size=(clusters, 6))
    return centers[labels] + spread * rng.normal(size=(count, 6)), labels


def inertia(rows, labels):
    return sum(
        np.square(rows[labels == k] - rows[labels == k].mean(axis=0)).sum()
        for k in np.unique(labels)
    )


def test_separate_clusters_are_found():
    rows, labels = blobs(5, 0.01)
    assert adjusted_rand_score(labels, k_means(rows, 5)) == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_distances_are_about_those_of_scikit_learn(seed):
    rows, _ = blobs(20, 0.5)
    theirs = KMeans(20, n_init=1, random_state=seed).fit(rows).inertia_
    labels = k_means(rows, 20, seed)
    assert len(np.unique(labels)) == 20
    assert inertia(rows, labels) < 1.15 * theirs


def test_every_row_is_in_the_nearest_cluster():
    rows, _ = blobs(8, 0.4)
    labels = k_means(rows, 8)
    centers = np.stack([rows[labels == k].mean(axis=0) for k in range(8)])
    distances = np.linalg.norm(rows[:, np.newaxis] - centers, axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), labels)


def test_the_seed_decides():
    rows, _ = blobs(8, 0.9)
    np.testing.assert_array_equal(k_means(rows, 30, 1), k_means(rows, 30, 1))
    assert (k_means(rows, 30, 1) != k_means(rows, 30, 2)).any()


def test_fewer_different_rows_than_clusters():
    rows = np.repeat([[0.0, 1], [5, 5], [-3, 2]], 10, axis=0)
    labels = k_means(rows, 8)
    assert len(np.unique(labels)) == 3
    assert adjusted_rand_score(labels, np.repeat([0, 1, 2], 10)) == 1


def test_as_many_clusters_as_rows():
    rows = np.random.default_rng(0).normal(size=(12, 3))
    assert sorted(k_means(rows, 12)) == list(range(12))
