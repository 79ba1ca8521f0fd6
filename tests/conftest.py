"""Logical devices, seeds, memory and recordings of PyTorch, for all tests."""

import contextlib
import ctypes
import logging
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The commands set it, too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Several test processes share a GPU.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.distribution import devices

# Fixtures that the tests of several packages share.
pytest_plugins = ["tests.exported"]

# Tests and the processes that they start never touch the user's cache.
_CACHE = tempfile.TemporaryDirectory(prefix="bt_keras_cache")
os.environ["BT_KERAS_CACHE"] = _CACHE.name

# TensorFlow counts the tracings of all tests in a process, and gives advice on stderr.
logging.getLogger("tensorflow").addFilter(
    lambda record: "triggered tf.function retracing" not in record.getMessage()
)

REFERENCE = Path(__file__).parent / "reference"

# Four logical CPUs, for replicas; TensorFlow must not have started yet.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    _CPU, [tf.config.LogicalDeviceConfiguration() for _ in range(4)]
)


# TensorFlow uses oneDNN for half precision if the CPU has the instructions. It does not
# read ONEDNN_MAX_CPU_ISA, and oneDNN then raises an error, on such CPUs alone.
_ISA = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
HALF_PRECISION = _ISA not in ("SSE41", "AVX", "AVX2")
half_precision = pytest.mark.skipif(
    not HALF_PRECISION,
    reason="ONEDNN_MAX_CPU_ISA excludes half precision",
)


# Without AVX512-BF16 or AMX, TensorFlow's bfloat16 gradients of kernels are off by 4 %.
exact_bfloat16 = pytest.mark.skipif(
    devices.cpu_bfloat16() is None,
    reason="TensorFlow sums in bfloat16 on a CPU without AVX512-BF16 or AMX",
)


def pytest_addoption(parser):
    parser.addoption(
        "--pretend-gpu",
        action="store_true",
        help="run the tests marked gpu on a CPU that takes a GPU's paths",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    """Seeds fixtures that tests share, so that their order does not matter."""
    if fixturedef.scope != "function":
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def fresh_keras():
    """Starts every test from the same seed and the float32 policy."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy("float32")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def fresh_memory(request):
    """Frees the memory of the models and graphs of a test module.

    With TEST_MEMORY=FILE each module appends a line to FILE: the pytest worker, its
    resident and its peak memory in MB, and the module.
    """
    yield
    keras.backend.clear_session()
    with contextlib.suppress(OSError, AttributeError):  # A C library without it.
        ctypes.CDLL(None).malloc_trim(0)
    if path := os.environ.get("TEST_MEMORY"):
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        status = dict(
            line.split(":", 1)
            for line in Path("/proc/self/status")
            .read_text(encoding="utf-8")
            .splitlines()
        )
        now, peak = (int(status[key].split()[0]) // 1024 for key in ("VmRSS", "VmHWM"))
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{worker} {now} {peak} {request.node.name}\n")


@pytest.fixture(scope="session")
def recorded():
    """`recorded(name)`: an .npz of tests/reference as a dict."""

    def load(name):
        with np.load(REFERENCE / f"{name}.npz") as file:
            return dict(file)

    return load


@pytest.fixture(scope="session")
def replicas():
    """`replicas(count)`: a MirroredStrategy over the first logical CPUs."""

    def make(count):
        devices = [f"CPU:{i}" for i in range(count)]
        return tf.distribute.MirroredStrategy(
            devices, tf.distribute.ReductionToOneDevice()
        )

    return make


@pytest.fixture(scope="session")
def two_replicas():
    """A MirroredStrategy with TensorFlow's defaults, which use collectives.

    A process can have only one: TensorFlow numbers the collectives of each strategy
    from the start, and confuses those of two.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def gpu_paths(monkeypatch):
    """Selects what a GPU computes with XLA and in what blocks; here a CPU does."""
    cpu = tf.config.list_logical_devices("CPU")[:1]
    monkeypatch.setattr(devices, "gpus", lambda: cpu)


def relative_error(value, reference):
    """Returns the largest difference relative to the reference's largest entry."""
    reference = np.asarray(reference, np.float64)
    difference = np.abs(np.asarray(value, np.float64) - reference)
    return difference.max() / np.abs(reference).max()
