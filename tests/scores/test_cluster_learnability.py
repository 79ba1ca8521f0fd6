import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from bt_keras import UsageError
from bt_keras.scores import clid
from bt_keras.scores.intrinsic_dimension import two_nn
from bt_keras.scores.k_means import k_means
from bt_keras.scores.nearest_rows import nearest, unit_rows
from tests.scores import constructed


def test_learnability_is_the_accuracy_of_scikit_learns_classifier():
    rows = constructed.full_rank()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    labels = k_means(unit, 24, seed=3)
    first, second = np.array_split(np.random.default_rng(3).permutation(600), 2)
    hits = 0
    for train, test in ((first, second), (second, first)):
        classifier = KNeighborsClassifier(1, metric="cosine")
        classifier.fit(unit[train], labels[train])
        hits += (classifier.predict(unit[test]) == labels[test]).sum()
    assert clid(rows, seed=3).learnability == pytest.approx(hits / 600)


def dimension_directly(unit):
    """Facco et al., in a loop over rows."""
    ratios = []
    for position, row in enumerate(unit):
        others = np.delete(unit, position, axis=0)
        near, far = np.sort(np.linalg.norm(others - row, axis=1))[:2]
        ratios.append(far / near)
    x = np.log(np.sort(ratios))
    kept = int(0.9 * len(x))
    y = -np.log(1 - np.arange(1, kept + 1) / len(x))
    slope = np.linalg.lstsq(x[:kept, np.newaxis], y, rcond=None)
    return slope[0][0]


def test_the_dimension_equals_the_direct_computation():
    unit = unit_rows(constructed.rank_5())
    assert two_nn(unit) == pytest.approx(dimension_directly(unit), rel=1e-9)
    copies = np.concatenate([unit, unit[:100]])
    assert two_nn(copies) == pytest.approx(two_nn(unit))


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_dimension_of_spheres(dimension):
    rng = np.random.default_rng(0)
    sphere = (
        rng.normal(size=(3000, dimension + 1))
        @ np.linalg.qr(rng.normal(size=(20, dimension + 1)))[0].T
    )
    assert two_nn(unit_rows(sphere)) == pytest.approx(dimension, rel=0.1)


def test_constructed_features():
    full, five = clid(constructed.full_rank()), clid(constructed.rank_5())
    assert full.dimension > 10
    assert 3 < five.dimension < 5  # A sphere in five dimensions.
    assert full.learnability < five.learnability < 1
    for dtype in ("float32", "float64"):
        assert clid(constructed.collapsed(dtype)).dimension == 0
    assert clid(np.ones((50, 3))) == (1, 0)
    assert clid(np.zeros((50, 3))) == (1, 0)


def test_a_sample_and_clusters():
    rows = constructed.full_rank()
    assert clid(rows, samples=100) == clid(rows[::6])
    assert clid(rows, clusters=1).learnability == 1
    for arguments in ({"clusters": 0}, {"clusters": 601}, {"samples": 3}):
        with pytest.raises(UsageError, match=next(iter(arguments))):
            clid(rows, **arguments)


def test_neighbors_in_blocks(monkeypatch):
    unit = unit_rows(constructed.full_rank())
    whole = nearest(unit, unit, 3, without_self=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -2)
    np.testing.assert_array_equal(whole, np.argsort(-similar, axis=1)[:, :3])
    monkeypatch.setattr("bt_keras.scores.nearest_rows._ROWS", 7)
    np.testing.assert_array_equal(nearest(unit, unit, 3, without_self=True), whole)
    own = nearest(unit, unit, 1)
    np.testing.assert_array_equal(own[:, 0], np.arange(600))
