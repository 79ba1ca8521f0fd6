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
        ({"class": np.zeros(3)}, "not a dict"),
    ],
)
def test_anything_else_is_one_line(labels, message):
    with pytest.raises(UsageError, match=message) as error:
        as_integers(labels, "Probe")
    assert "\n" not in str(error.value)
