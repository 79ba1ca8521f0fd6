"""`config.threads`."""

import subprocess
import sys

import pytest

import bt_keras
from bt_keras.distribution import threads
from tests import tiny

_FRESH = """
from bt_keras.cli import start
strategy = start.strategy("mirrored", dict, 1.0, lambda: None, num_threads=3)
import tensorflow as tf
get = tf.config.threading
assert float(tf.add(1.0, 2.0)) == 3.0
print(get.get_intra_op_parallelism_threads(), get.get_inter_op_parallelism_threads())
"""


@pytest.fixture
def no_limit():
    yield
    threads.limit(0)


def test_operations_are_limited_before_tensorflow_starts():
    done = subprocess.run(
        [sys.executable, "-c", _FRESH], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3", "3"]
    assert "config.threads" not in done.stderr


def test_afterwards_only_pipelines_are_limited(no_limit, caplog, tmp_path):
    folder = tiny.write_images(tmp_path, per_class=2)

    def options():
        pairs = bt_keras.pairs(str(folder), bt_keras.views(8, "small"), 2)
        return pairs.options()

    assert options().threading.private_threadpool_size is None
    threads.limit(3)
    assert "TensorFlow has already started" in caplog.text
    assert options().threading.private_threadpool_size == 3
    assert options().autotune.cpu_budget == 3
    assert threads.count() == 3
