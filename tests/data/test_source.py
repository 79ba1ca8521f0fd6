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
    images = np.zeros((4, 8, 8, 3), "uint8")
    for labels, fits in (([-1] * 4, False), ([0, 1, 0, 1], True)):
        pairs = tf.data.Dataset.from_tensor_slices((images, labels))
        source = from_dataset(pairs, class_names=("a", "b"))
        if fits:
            source.require_labels("a probe")
        else:
            with pytest.raises(UsageError, match=r"a probe needs labels.*none"):
                source.require_labels("a probe")


def test_incomplete_batches_are_not_steps():
    source = load("shipped", "test")
    assert [source.steps_per_epoch(n) for n in (1, 999, 2_000)] == [2_000, 2, 1]
