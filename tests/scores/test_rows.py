import numpy as np
import pytest

from bt_keras import UsageError, scores
from bt_keras.scores import rows

_SCORES = [scores.effective_rank, scores.alpha_req, scores.clid]


@pytest.mark.parametrize("score", _SCORES)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros(5), r"an array \(N, F\) of numbers.*shape \(5,\)"),
        (np.zeros((5, 2, 2)), r"\(5, 2, 2\)"),
        (np.zeros((1, 4)), "at least"),
        (np.zeros((9, 0)), "at least"),
        (np.full((9, 3), "a"), "of numbers"),
        (np.ones((9, 3), complex), "of numbers"),
        (None, "of numbers"),
    ],
)
def test_other_arrays_are_errors(score, value, words):
    with pytest.raises(UsageError, match=words):
        score(value)


@pytest.mark.parametrize("score", _SCORES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("width", [3, 60])
def test_the_row_that_is_not_finite_is_named(score, bad, width, monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 100)
    values = np.random.default_rng(0).normal(size=(40, width))
    values[33, 1] = bad
    with pytest.raises(UsageError, match="row 33 of the features is not finite"):
        score(values)


def test_blocks_are_all_rows_in_order(monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 100)
    values = np.arange(70.0).reshape(10, 7)
    parts = list(rows.blocks(values))
    assert [len(part) for part in parts] == [1] * 10
    np.testing.assert_array_equal(np.concatenate(parts), values)


def test_a_sample_of_sorted_rows_has_all_classes():
    labels = np.repeat(np.arange(10), 100)
    counts = np.bincount(rows.spaced(labels, 50))
    assert counts.tolist() == [5] * 10
    assert rows.spaced(labels, None) is labels
