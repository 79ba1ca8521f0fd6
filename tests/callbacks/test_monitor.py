"""The monitor in real fits."""

import contextlib
import functools
import logging
import types

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.callbacks import RepresentationMonitor, input_watch
from bt_keras.callbacks import monitor as monitor_module
from bt_keras.checkpoint import save_restore
from bt_keras.checkpoint.progress import Progress
from bt_keras.errors import UsageError
from tests import models
from tests.callbacks.test_input_watch import slow_views

NAMES = {
    "feature_std",
    "dead_features",
    "diagonal",
    "off_diagonal",
    "loss_above_floor",
    "feature_rank",
    "embedding_rank",
    "gradient_norm",
    "weight_norm",
    "images_per_second",
    "input_share",
}
SPEED = {"images_per_second", "input_share"}
RATIOS = {"trust_ratio_min", "trust_ratio_max"}


def fit(*callbacks, model=None, strategy=None, optimizer=None, epochs=2, **kwargs):
    """Trains a tiny model; returns it and the history."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = model or models.tiny(**kwargs)
        model.compile(optimizer=optimizer or bt_keras.LARS(0.2), jit_compile=False)
    data = models.pairs(batches=3)
    history = model.fit(data, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model, history.history


@pytest.fixture
def warned(caplog):
    """`warned()`: the warnings so far."""
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records]


def test_history_has_the_last_values():
    _, history = fit(RepresentationMonitor(every_steps=2))
    assert set(history) == {"loss", "invariance", "redundancy"} | NAMES | RATIOS
    assert np.isfinite([history[name] for name in NAMES | RATIOS]).all()
    assert history["trust_ratio_min"][0] <= history["trust_ratio_max"][0]
    _, other = fit(RepresentationMonitor(every_steps=2), optimizer="sgd")
    assert set(other) == {"loss", "invariance", "redundancy"} | NAMES


def test_values_are_those_of_the_step():
    monitor = RepresentationMonitor(every_steps=3)
    _, history = fit(monitor, epochs=1)
    snapshot = monitor.observer.read()
    z_a, z_b = (z.astype(np.float64) for z in snapshot.embeddings)
    a, b = ((z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in (z_a, z_b))
    c = a.T @ b / len(a)
    beside = c[~np.eye(len(c), dtype=bool)]
    last = {name: values[-1] for name, values in history.items()}
    assert last["diagonal"] == pytest.approx(np.trace(c) / len(c), rel=1e-5)
    assert last["off_diagonal"] == pytest.approx(np.sqrt(np.mean(beside**2)), rel=1e-4)
    kappa = 5e-3 * (16 / 7 - 1)
    loss = np.sum((1 - np.diag(c)) ** 2) + 5e-3 * np.sum(beside**2)
    floor = 16 * kappa / (1 + kappa)
    assert last["loss_above_floor"] == pytest.approx(loss - floor, rel=1e-4)


def test_weights_have_the_bits_of_a_fit_without_it():
    (alone, history), (watched, other) = fit(), fit(RepresentationMonitor(1))
    assert history["loss"] == other["loss"]
    for ours, theirs in zip(watched.variables, alone.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_replicas_read_what_one_device_reads(replicas):
    histories = [
        fit(RepresentationMonitor(1), strategy=strategy)[1]
        for strategy in (None, replicas(2))
    ]
    for name in (NAMES | RATIOS) - SPEED:
        np.testing.assert_allclose(*(h[name] for h in histories), rtol=2e-3)


@pytest.mark.parametrize("every", [4, 10])  # A reading after resuming, and none.
def test_a_resumed_fit_has_the_same_values(every, tmp_path):
    def run(model, monitor, data):
        history = model.fit(data, verbose=0, callbacks=[monitor]).history
        return {name: history[name] for name in (NAMES | RATIOS) - SPEED}

    def new():
        keras.utils.set_random_seed(0)
        model, monitor = models.tiny(), RepresentationMonitor(every)
        model.compile(optimizer=bt_keras.LARS(0.2), jit_compile=False)
        model.observe(monitor.observer)
        return model, monitor

    first, rest = (models.pairs(6).take(3), models.pairs(6).skip(3))
    whole = new()
    run(*whole, first)
    progress = Progress(steps_per_epoch=3).after(3)
    path = save_restore.write(whole[0], tmp_path, progress)
    expected = run(*whole, rest)
    resumed = new()
    save_restore.restore(path, resumed[0])
    assert run(*resumed, rest) == expected
    assert resumed[1].observer.newest() == 1 + every * (every < 6)


def test_steps_per_execution():
    model = models.tiny()
    monitor = RepresentationMonitor(every_steps=2)
    model.compile(optimizer="sgd", steps_per_execution=2)
    data = models.pairs(batches=4)
    model.fit(data, verbose=0, callbacks=[monitor])
    assert monitor.observer.newest() == 3


def test_a_second_fit_goes_on_counting():
    monitor = RepresentationMonitor(every_steps=4)
    model, _ = fit(monitor)
    before = monitor.observer.newest()
    model.fit(models.pairs(batches=3), verbose=0, callbacks=[monitor])
    assert (before, monitor.observer.newest()) == (5, 9)
    model.fit(models.pairs(batches=3), verbose=0, callbacks=[monitor])
    assert monitor.observer.newest() == 9
    model.fit(models.pairs(batches=3), verbose=0)
    assert monitor.observer.newest() == 9


def test_a_good_fit_has_no_warnings(warned):
    fit(RepresentationMonitor(every_steps=1))
    assert not warned()


def test_a_collapsed_backbone_warns_once(warned):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    small = keras.initializers.RandomNormal(stddev=1e-5, seed=0)
    x = keras.layers.Dense(6, kernel_initializer=small, bias_initializer="ones")(x)
    model = bt_keras.BarlowTwins(keras.Model(inputs, x), (16,))
    fit(RepresentationMonitor(1), model=model, optimizer=keras.optimizers.SGD(0.0))
    (warning,) = warned()
    assert "features collapse" in warning
    assert "1/√6 = 0.41" in warning


def test_a_rate_that_is_too_high_warns_once(warned):
    class Raise(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 100.0 if epoch > 3 else 0.05

    fit(RepresentationMonitor(1), Raise(), optimizer=keras.optimizers.SGD(), epochs=8)
    (warning,) = (each for each in warned() if "learning rate, 1e+02" in each)
    assert "too high" in warning


def test_a_batch_that_is_too_small_warns_once(warned):
    fit(RepresentationMonitor(1), projector=(512,), lambd=0.05)
    (warning,) = warned()
    assert "batch of 8 images is too small for embeddings of 512" in warning


def test_another_model_is_warned_of_again(warned):
    monitor = RepresentationMonitor(1)
    for _ in range(2):
        fit(monitor, projector=(512,), lambd=0.05)
    assert len(warned()) == 2
    model, _ = fit(monitor, projector=(512,), lambd=0.05)
    model.fit(models.pairs(batches=3), verbose=0, callbacks=[monitor])
    assert len(warned()) == 3


def test_a_lambda_of_zero_warns_once(warned):
    """Nothing keeps the embeddings of two features from repeating each other."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    backbone = keras.Model(inputs, keras.layers.Dense(2)(x))
    model = bt_keras.BarlowTwins(backbone, (16,), lambd=0.0)
    fit(RepresentationMonitor(1), model=model, epochs=10)
    (warning,) = warned()
    assert "lambd=0 is too small: raise it" in warning


def test_a_run_that_learns_has_no_warnings(warned):
    """C of a narrow projector is far from its aim, but gets closer to it."""
    views = bt_keras.views(16, "small")
    data = bt_keras.pairs("shipped", views, batch_size=64)
    backbone = bt_keras.resnet(10, width=0.125, stem="cifar", input_shape=(16, 16, 3))
    model = bt_keras.BarlowTwins(backbone, (32, 32))
    model.compile(optimizer=bt_keras.LARS(0.2), jit_compile=False)
    monitor = RepresentationMonitor(1)
    model.fit(data.take(20), verbose=0, callbacks=[monitor])
    assert warned() == []


def test_a_pipeline_that_is_too_slow_warns_once(warned, monkeypatch):
    quick = functools.partial(input_watch.InputWatch, share=0.1, seconds=0.1)
    monkeypatch.setattr(monitor_module, "InputWatch", quick)
    model = models.tiny()
    model.compile(optimizer="sgd")
    model.fit(
        slow_views(),
        steps_per_epoch=25,
        verbose=0,
        callbacks=[RepresentationMonitor(every_steps=5)],
    )
    (warning,) = warned()
    assert "training time is spent waiting for images" in warning


@pytest.mark.parametrize(("execution", "speed"), [(1, 6.0), (2, 4.0)])
def test_speed_counts_images_of_smaller_batches(execution, speed, monkeypatch):
    """Batches of 8, 8 and 4; the first call does not count; a call takes 1 s."""
    seconds = iter(range(99))
    fake = types.SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(input_watch, "time", fake)
    now = 0

    class Tick(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            nonlocal now
            now = 1 + next(seconds)

    model = models.tiny()
    model.compile("sgd", steps_per_execution=execution, jit_compile=False)
    data = models.pairs(batches=3).unbatch().take(20).batch(8)
    found = [Tick(), RepresentationMonitor(every_steps=2)]
    history = model.fit(data, verbose=0, callbacks=found).history
    assert history["images_per_second"] == [speed]


def test_two_monitors_are_one_line():
    with pytest.raises(UsageError, match="a RepresentationMonitor already"):
        fit(RepresentationMonitor(), RepresentationMonitor())


def test_bad_arguments():
    with pytest.raises(UsageError, match="every_steps"):
        RepresentationMonitor(every_steps=0)
    with pytest.raises(UsageError, match="statistics"):
        RepresentationMonitor(log_dir="runs", statistics=0.5)
