"""What all tests share: logical devices, seeds, and the recordings of PyTorch."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# As the commands have it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

# Fixtures that several rooms share.
pytest_plugins = ["tests.exported"]

# Tests and the processes that they start never touch the user's cache.
_CACHE = tempfile.TemporaryDirectory(prefix="bt_keras_cache")
os.environ["BT_KERAS_CACHE"] = _CACHE.name

REFERENCE = Path(__file__).parent / "reference"

# Four logical CPUs, for replicas; they must be made before TensorFlow starts.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration() for _ in range(4)]
)


@pytest.fixture(autouse=True)
def fresh_keras():
    """Every test starts from one seed and the float32 policy."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def recorded():
    """`recorded(name)`: an .npz of tests/reference as a dict."""

    def load(name):
        with np.load(REFERENCE / f"{name}.npz") as file:
            return dict(file)

    return load


@pytest.fixture(scope="session")
def replicas():
    """`replicas(count)`: a MirroredStrategy over so many logical CPUs."""

    def make(count):
        devices = [f"CPU:{i}" for i in range(count)]
        return tf.distribute.MirroredStrategy(
            devices, tf.distribute.ReductionToOneDevice()
        )

    return make


@pytest.fixture(scope="session")
def two_replicas():
    """A MirroredStrategy as a user makes one: its replicas talk by collectives.

    There can be one in a process: TensorFlow numbers the collectives of each strategy
    anew, and confuses those of two.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def relative_error(value, reference):
    """The largest difference, relative to the largest entry of the reference."""
    reference = np.asarray(reference, np.float64)
    difference = np.abs(np.asarray(value, np.float64) - reference)
    return difference.max() / np.abs(reference).max()
