"""The interface of all sources."""

import pytest

from bt_keras.data import load
from bt_keras.errors import UsageError
from tests.data import files


def test_required_labels_that_are_missing_are_refused(tmp_path):
    source = load(files.write_many(tmp_path / "flat", 2))
    with pytest.raises(UsageError, match=r"linear evaluation needs labels, but .*flat"):
        source.require_labels("linear evaluation")
    assert load("shipped").require_labels("linear evaluation") is None


def test_incomplete_batches_are_not_steps():
    source = load("shipped", "test")
    assert [source.steps_per_epoch(n) for n in (1, 999, 2_000)] == [2_000, 2, 1]
