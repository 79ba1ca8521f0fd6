import numpy as np
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.callbacks.labels import as_integers


@pytest.mark.parametrize(
    "labels",
    [[1, 0, 2], np.array([1, 0, 2], "uint8"), np.array([[1.0], [0.0], [2.0]])],
    ids=["list", "uint8", "column"],
)
def test_numbers_of_classes(labels):
    found = as_integers(labels, "Probe")
    assert found.dtype == tf.int64
    np.testing.assert_array_equal(found, [1, 0, 2])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "Probe needs labels, but there are none"),
        (np.eye(3), r"not of \(3, 3\): of one-hot"),
        (np.zeros(()), r"not of \(\)"),
        (tf.constant(["cat", "dog"]), "not string"),
        ([[0], [1, 2]], "one number for each example"),
        ([0, None], "one number for each example"),
        (np.array([1.0, 2.7]), "needs whole numbers"),
        (np.array([1.0, np.nan]), "needs whole numbers"),
        ({"class": np.zeros(3)}, "not a dict"),
    ],
)
def test_anything_else_is_one_line(labels, message):
    with pytest.raises(UsageError, match=message) as error:
        as_integers(labels, "Probe")
    assert "\n" not in str(error.value)


def test_fractions_are_no_class_in_a_graph():
    found = tf.function(lambda labels: as_integers(labels, "Probe"))
    np.testing.assert_array_equal(found(tf.constant([2.0, 2.7, np.nan])), [2, -1, -1])
