import types

import numpy as np
import pytest

import bt_keras
from bt_keras.evaluation import neighbors
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.retrieval import Retrieval
from tests.evaluation.gray import scores


def searched(features, labels, at):
    """Returns the recalls and the number of queries, with the whole matrix at once."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1)[:, :-1]
    hits = labels[order] == labels[:, np.newaxis]
    queries = hits.any(axis=1)
    found = {k: hits[queries, :k].any(axis=1).mean() for k in at}
    return found, queries.sum()


@pytest.mark.parametrize("blocks", [False, True])
def test_recall_equals_a_search_in_the_whole_matrix(blocks, monkeypatch):
    if blocks:
        monkeypatch.setattr(neighbors, "_QUERY_VALUES", 7 * 20)
        monkeypatch.setattr(neighbors, "_BANK_VALUES", 7 * 13)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(150, 7)).astype("f4")
    labels = rng.integers(0, 40, 150)
    at = (1, 5, 10, 500)
    expected, count = searched(features, labels, at)
    assert 0 < expected[1] < expected[10] < expected[500] == 1
    assert count < 150  # Some classes have a single image.
    [results] = Retrieval(at).run(
        types.SimpleNamespace(test=Features(features, labels))
    )
    assert {r.metric: r.value for r in results} == {
        f"recall@{k}": pytest.approx(value) for k, value in expected.items()
    }
    assert {r.n for r in results} == {count}


def test_an_image_does_not_find_itself():
    """Copies have the same similarity as the image itself."""
    features = Features(np.ones((4, 3), "f4"), np.array([0, 1, 0, 1]))
    recalls = scores(Retrieval((1, 3)), types.SimpleNamespace(test=features))
    assert recalls["recall@1"] < 1
    assert recalls["recall@3"] == 1


def test_classes_of_one_image_are_named():
    frozen = types.SimpleNamespace(
        test=Features(np.eye(3, dtype="f4"), np.arange(3)),
        test_source=types.SimpleNamespace(name="photos"),
    )
    with pytest.raises(bt_keras.UsageError, match="'photos'"):
        scores(Retrieval(), frozen)


def test_values_out_of_range_are_named():
    with pytest.raises(bt_keras.UsageError, match="at=0"):
        Retrieval((1, 0))
