"""The interface of all sources."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import from_dataset, load
from bt_keras.errors import UsageError
from tests.data import files


def test_required_labels_that_are_missing_are_refused(tmp_path):
    source = load(files.write_many(tmp_path / "flat", 2))
    with pytest.raises(UsageError, match=r"linear evaluation needs labels, but .*flat"):
        source.require_labels("linear evaluation")
    assert load("shipped").require_labels("linear evaluation") is None


def test_a_split_without_the_labels_of_its_data_set():
    def source(labels):
        pairs = (np.zeros((4, 8, 8, 3), "uint8"), labels)
        pairs = tf.data.Dataset.from_tensor_slices(pairs)
        return from_dataset(pairs, class_names=("a", "b"))

    source([0, 1, 0, -1]).require_labels("a probe")
    with pytest.raises(UsageError, match=r"a probe needs labels.*has none \(-1\)"):
        source([-1] * 4).require_labels("a probe")
    source([-1, 1, 0, 1]).require_labels("a method", some=True)


def test_incomplete_batches_are_not_steps():
    source = load("shipped", "test")
    assert [source.steps_per_epoch(n) for n in (1, 999, 2_000)] == [2_000, 2, 1]
