"""The warning of steps that wait for images."""

import subprocess
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.callbacks import input_watch
from bt_keras.callbacks.input_watch import InputWatch
from tests.models import tiny

_DELAY = 0.1


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    now = SimpleNamespace(seconds=0.0)
    fake = SimpleNamespace(monotonic=lambda: now.seconds)
    monkeypatch.setattr(input_watch, "time", fake)
    return now


@pytest.mark.parametrize(
    ("shares", "warnings"),
    [
        ([0.2] * 5, 0),
        ([0.4] * 5, 1),  # Once.
        ([0.9, 0.1, 0.9, 0.1, 0.9], 0),  # Only for a moment.
        ([0.1, 0.1, 0.5, 0.35], 1),
    ],
)
def test_two_slow_windows_in_succession_warn_once(clock, caplog, shares, warnings):
    function = SimpleNamespace(seconds_waited=0.0)
    watch = InputWatch(share=0.3, seconds=20.0)
    watch.set_model(SimpleNamespace(train_function=function))
    for epoch, share in enumerate(shares):
        clock.seconds += 1e3  # Validation and checkpoints between epochs.
        watch.on_epoch_begin(epoch)
        for batch in range(10):
            clock.seconds += 2.0
            function.seconds_waited += 2.0 * share
            watch.on_train_batch_end(batch)
    assert caplog.text.count("training time is spent waiting for images") == warnings
    if shares[-1] == 0.35:
        assert "35 % of" in caplog.text
        assert "smaller views help (in bt-keras pretrain: config.threads" in caplog.text


def slow_views():
    """Endless batches that take `_DELAY` seconds each, one after the other."""
    views = np.random.default_rng(0).normal(size=(2, 4, 8, 8, 3)).astype("float32")

    def wait(number):
        time.sleep(_DELAY)
        return number

    def batch(number):
        waited = tf.numpy_function(wait, [number], tf.int64)
        with tf.control_dependencies([waited]):
            return tuple(map(tf.identity, tf.unstack(tf.constant(views))))

    dataset = tf.data.Dataset.range(2**40).map(batch)
    return dataset.apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    )


@pytest.mark.parametrize("execution", [1, 2])
def test_fit_with_slow_images_warns(execution, caplog):
    model = tiny()
    model.compile(optimizer="sgd", steps_per_execution=execution)
    watch = InputWatch(share=0.1, seconds=_DELAY)
    steps = 25 * execution
    model.fit(slow_views(), steps_per_epoch=steps, verbose=0, callbacks=[watch])
    # TensorFlow prepares a batch or two while it compiles the first step.
    assert model.train_function.seconds_waited >= 0.8 * steps * _DELAY
    assert caplog.text.count("training time is spent waiting for images") == 1


def test_prefetched_images_are_not_waited_for(replicas):
    """Under a strategy, too; the pipeline is faster than the steps."""

    class SlowSteps(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(10 * _DELAY)

    with replicas(2).scope():
        model = tiny()
        model.compile(optimizer="sgd")
    before = time.monotonic()
    steps = 5
    model.fit(
        slow_views().prefetch(8),
        steps_per_epoch=steps,
        verbose=0,
        callbacks=[SlowSteps()],
    )
    waited = model.train_function.seconds_waited
    assert _DELAY <= waited < (time.monotonic() - before) / 2


ONE_THREAD = """
import sys, time
import numpy as np, tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
import bt_keras
model = bt_keras.BarlowTwins(bt_keras.resnet(18, 0.125, "cifar"), (64, 64))
model.compile(optimizer="sgd", steps_per_execution=int(sys.argv[1]))
views = np.random.default_rng(0).normal(size=(2, 64, 16, 16, 3)).astype("float32")
dataset = tf.data.Dataset.from_tensors(tuple(views)).repeat(16)
model.fit(dataset, verbose=0)  # Traces.
before, start = model.train_function.seconds_waited, time.monotonic()
model.fit(dataset, verbose=0)
waited = model.train_function.seconds_waited - before
print(waited / (time.monotonic() - start))
"""


@pytest.mark.slow  # Starts a process with one thread.
@pytest.mark.parametrize("execution", [1, 8])
def test_the_computation_of_a_step_is_not_waited_for(execution):
    """With one thread: TensorFlow could read the clock after the step."""
    command = [sys.executable, "-c", ONE_THREAD, str(execution)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.3  # The default share of a warning.
