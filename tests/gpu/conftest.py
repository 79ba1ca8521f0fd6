"""Runs the tests of this folder on a GPU; without one, they are left out or fail."""

import pytest
import tensorflow as tf

from tests.gpu import card


@pytest.fixture(scope="package", autouse=True)
def gpu(request):
    """Skips tests where there is no GPU and none is pretended to be there.

    They fail where they were asked for, `pytest -m gpu`.
    """
    if not card.is_pretended():
        yield
    elif not request.config.getoption("--pretend-gpu"):
        asked = request.config.getoption("markexpr") == "gpu"
        (pytest.fail if asked else pytest.skip)("needs a GPU")
    else:
        with card.pretend(lambda: tf.config.list_logical_devices("CPU")[:1]):
            yield


@pytest.fixture(scope="package", autouse=True)
def full_float32(gpu):
    """Computes products in float32; TensorFlow's default on a GPU is TF32."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(before)
