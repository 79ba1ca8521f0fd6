"""The GPU of the tests, and the CPU that they compare with."""

import contextlib

import pytest
import tensorflow as tf

from bt_keras.distribution import devices

# At the end of a config file: the command takes a GPU's paths on a CPU.
PRETENDED = """
import tensorflow as _tf
from bt_keras.distribution import devices as _devices
_devices.gpus = lambda: _tf.config.list_logical_devices("CPU")[:1]
"""
# MB of a card that each of its logical GPUs takes.
_MEMORY = 4096


def is_pretended():
    """Returns whether a CPU stands in for the GPU, because there is none."""
    return not tf.config.list_physical_devices("GPU")


@contextlib.contextmanager
def pretend(found):
    """Makes a CPU take the paths of GPUs, or a GPU's machine those of a CPU.

    Args:
        found: function that returns the list of devices to take for GPUs.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "gpus", found)
        yield


@contextlib.contextmanager
def on_cpu():
    """Computes on the CPU as if there were no GPU."""
    with pretend(list), tf.device("CPU:0"):
        yield


def split(count):
    """Divides the device into logical ones; TensorFlow must not have started.

    Args:
        count: integer, their number.

    Returns:
        the list of their names.
    """
    kind = "CPU" if is_pretended() else "GPU"
    options = {} if is_pretended() else {"memory_limit": _MEMORY}
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices(kind)[0],
        [tf.config.LogicalDeviceConfiguration(**options) for _ in range(count)],
    )
    return [f"{kind}:{index}" for index in range(count)]
