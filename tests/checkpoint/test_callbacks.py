import itertools

import keras
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.checkpoint import callbacks, store
from bt_keras.checkpoint.progress import Progress
from bt_keras.distribution.stop_request import StopRequest
from bt_keras.errors import StoppedError
from tests.models import pairs, tiny
from tests.observers import Mean

STEPS = 4


class StopAfter(StopRequest):
    """A request to stop that arrives after a number of queries."""

    def __init__(self, queries):
        super().__init__(tf.distribute.get_strategy())
        self._left = queries

    def reason(self, error=None):
        self._left -= 1
        return super().reason(error) or ("SIGTERM" if self._left < 0 else None)


def fit(folder, epochs=2, stop_after=99, writes=True, **settings):
    """Trains for epochs of four steps and returns the tracker."""
    tracker = callbacks.ProgressTracker(Progress(STEPS))
    policy = callbacks.CheckpointPolicy(keep=99, **settings)
    stop = StopAfter(stop_after)
    saver = callbacks.Checkpoints(folder, tracker, stop, policy, writes)
    model = tiny()
    model.compile(optimizer="sgd")
    model.fit(
        pairs(STEPS),
        epochs=epochs,
        shuffle=False,
        verbose=0,
        callbacks=[tracker, saver],
    )
    return tracker


def steps(folder):
    return sorted(store.read(path).step for path in folder.iterdir())


@pytest.mark.parametrize(
    ("every_steps", "expected"), [(0, [4, 8]), (1, [*range(1, 9)]), (3, [3, 4, 7, 8])]
)
def test_writes_n_steps_after_the_last_checkpoint(tmp_path, every_steps, expected):
    assert fit(tmp_path, every_steps=every_steps).progress.step == 8
    assert steps(tmp_path) == expected


def test_writes_every_n_minutes(tmp_path, monkeypatch):
    """Uses a clock that advances by 20 seconds whenever it is read."""
    seconds = itertools.count(step=20)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: next(seconds))
    fit(tmp_path, epochs=1, every_minutes=1.0)
    assert steps(tmp_path) == [3, 4]


def test_only_the_chief_writes(tmp_path):
    fit(tmp_path, writes=False, every_steps=1)
    assert steps(tmp_path) == []


@pytest.mark.parametrize(("asked", "step"), [(0, 1), (2, 3), (3, 4), (5, 6)])
def test_a_request_stops_training_after_the_step(tmp_path, asked, step):
    with pytest.raises(StoppedError, match=rf"SIGTERM after step {step} .*epoch-000"):
        fit(tmp_path, stop_after=asked)
    assert max(steps(tmp_path)) == step


def test_a_request_after_the_last_step_does_not_stop_the_run(tmp_path):
    assert fit(tmp_path, epochs=1, stop_after=STEPS - 1).progress.step == STEPS


def test_fit_ends_after_the_rest_of_an_epoch(tmp_path):
    progress = Progress(STEPS, step=5, batch=7, rollbacks=1)
    rest = pairs(STEPS - 1)
    tracker = callbacks.ProgressTracker(progress)
    model = tiny()
    model.compile(optimizer="sgd")
    history = model.fit(
        rest,
        initial_epoch=1,
        epochs=9,
        steps_per_epoch=STEPS - 1,
        shuffle=False,
        verbose=0,
        callbacks=[tracker],
    )
    assert history.epoch == [1]
    assert tracker.progress == Progress(STEPS, step=8, batch=10, rollbacks=1)


def test_the_metrics_of_an_unfinished_epoch_are_restored(tmp_path):
    """Three earlier steps with a loss of 10, and one step of `fit`."""
    means = {"loss": (30.0, 3.0), "invariance": (6.0, 3.0)}
    logs = []
    for gathered in ({}, means):
        tracker = callbacks.ProgressTracker(Progress(STEPS, step=3, means=gathered))
        keras.utils.set_random_seed(0)
        model = tiny()
        model.compile(optimizer="sgd")
        logs.append(
            model.fit(pairs(1), shuffle=False, verbose=0, callbacks=[tracker]).history
        )
    alone, together = logs
    assert together["loss"][0] == pytest.approx((30.0 + alone["loss"][0]) / 4)
    assert together["redundancy"] == alone["redundancy"]


def test_fit_raises_if_a_checkpoint_cannot_be_written(tmp_path):
    (tmp_path / store.UNFINISHED).parent.mkdir()
    (tmp_path / store.UNFINISHED).symlink_to("/dev/full")
    with pytest.raises(UsageError, match="No space left on device"):
        fit(tmp_path, every_steps=2)


def test_metrics_of_evaluate_have_no_steps_before_a_fault(tmp_path):
    class OnlyTests(Mean):
        def observe(self, step):
            return {}

    class Fault(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                saver.write_before(UsageError("A file is missing."))

    tracker = callbacks.ProgressTracker(Progress(STEPS))
    saver = callbacks.Checkpoints(tmp_path, tracker, StopAfter(99))
    model = tiny()
    model.compile(optimizer="sgd")
    model.observe(OnlyTests(tests=True))
    found = [tracker, saver, Fault()]
    model.fit(pairs(3), shuffle=False, verbose=0, callbacks=found)
    path = min(tmp_path.iterdir(), key=lambda each: store.read(each).step)
    means = store.read(path).means
    assert means["mean_of_features"] == [0.0, 0.0]
    assert means["loss"][1] == 2
