import keras
import numpy as np
import pytest

import bt_keras


class Raises(keras.layers.Layer):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def call(self, inputs):
        raise self.error

    def compute_output_shape(self, input_shape):
        return input_shape


def test_keras_adds_no_lines_to_a_usage_error():
    inputs = np.zeros((1, 2), "float32")
    # Fails where Keras no longer reads `_keras_call_info_injected`.
    with pytest.raises(bt_keras.UsageError) as error:
        keras.Sequential([Raises(bt_keras.UsageError("x=1 must be 2."))])(inputs)
    assert str(error.value) == "x=1 must be 2."
    with pytest.raises(ValueError, match="Arguments received") as error:
        keras.Sequential([Raises(ValueError("x"))])(inputs)
    assert len(str(error.value).splitlines()) > 1


def test_a_usage_error_is_one_printable_line():
    error = bt_keras.UsageError("the folder 'a\nb\x1b[2J\ud800' is missing.")
    assert str(error) == "the folder 'a b?[2J?' is missing."
