import numpy as np
import pytest

from bt_keras.evaluation import neighbors
from bt_keras.evaluation.features import Features


def split(array):
    return Features(array.astype("f4"), np.zeros(len(array), int))


@pytest.mark.parametrize("k", [1, 3, 50])
@pytest.mark.parametrize("bank_rows", [4, 7, 50])
@pytest.mark.parametrize("at_once", [1, 5, 100])
def test_blocks_give_the_neighbors_of_a_whole_search(
    k, bank_rows, at_once, monkeypatch
):
    monkeypatch.setattr(neighbors, "_BANK_VALUES", bank_rows * 6)
    monkeypatch.setattr(neighbors, "_SIMILARITIES", at_once * bank_rows)
    monkeypatch.setattr(neighbors, "_QUERY_VALUES", 11 * 6)
    rng = np.random.default_rng(0)
    queries, bank = rng.normal(size=(23, 6)), rng.normal(size=(50, 6))
    values, positions = map(
        np.concatenate,
        zip(*neighbors.nearest(split(queries), split(bank), k), strict=True),
    )
    units = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, bank))
    similarities = np.matmul(next(units), next(units).T)
    expected = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_allclose(
        values, np.take_along_axis(similarities, expected, axis=1), atol=1e-6
    )


@pytest.mark.parametrize("bank_rows", [2, 5, 24])
def test_of_equal_neighbors_the_first_are_taken(bank_rows, monkeypatch):
    monkeypatch.setattr(neighbors, "_BANK_VALUES", bank_rows * 4)
    bank = np.tile(np.eye(4), (6, 1))  # Rows 1, 5, 9, ... are the same.
    [(values, positions)] = neighbors.nearest(split(np.eye(4)), split(bank), 5)
    np.testing.assert_allclose(values, np.ones((4, 5)), rtol=1e-6)  # Of unit vectors.
    expected = np.arange(4)[:, np.newaxis] + 4 * np.arange(5)
    np.testing.assert_array_equal(positions, expected)
