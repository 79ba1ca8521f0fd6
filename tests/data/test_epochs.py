"""Positions of a run, and the order of each of its epochs."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import epochs
from bt_keras.data.shuffle import epoch_order
from tests.data import files
from tests.data.plain import in_memory

SEED = 3


@pytest.mark.parametrize("per_epoch", [10, 8])
@pytest.mark.parametrize("first", [0, 7, 8, 25])
def test_positions_follow_the_order_of_each_epoch(per_epoch, first):
    orders = [epoch_order(10, tf.constant([SEED, n], tf.int64)) for n in range(5)]
    expected = np.concatenate([order[:per_epoch] for order in orders])
    numbers = epochs.image_numbers(in_memory(), SEED, first, per_epoch)
    found = files.take(numbers, 12)
    assert [position for position, _ in found] == list(range(first, first + 12))
    assert [n for _, n in found] == expected[first : first + 12].tolist()


def test_records_have_the_order_of_the_source():
    source = in_memory()
    orders = [source.records(tf.constant([SEED, n], tf.int64)) for n in range(3)]
    expected = [record for order in orders for record in files.arrays(order)]
    found = files.take(epochs.records(source, SEED, first=13), 10)
    assert [position for position, _ in found] == list(range(13, 23))
    files.assert_equal([record for _, record in found], expected[13:23])
