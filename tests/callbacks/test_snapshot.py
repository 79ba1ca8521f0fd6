"""What is kept of a step is what the step has computed."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.callbacks import snapshot as snapshot_module
from bt_keras.callbacks.snapshot import StepSnapshots
from tests import models


def compiled(strategy=None, every=1, xla=False, **kwargs):
    """A compiled model with the same weights in every call, and its snapshots."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = models.tiny(**kwargs)
        model.compile(optimizer=bt_keras.LARS(0.2), jit_compile=xla)
    snapshots = StepSnapshots(every, values=1)
    model.observe(snapshots)
    return model, snapshots


def fit_one_step(**kwargs):
    model, snapshots = compiled(**kwargs)
    model.fit(models.pairs(batches=1), verbose=0)
    return snapshots.read()


def views():
    return next(iter(models.pairs(batches=1)))


@pytest.fixture(scope="module")
def first_step():
    """The first step in eager mode: features, embeddings, loss, gradients, weights."""
    model, _ = compiled()
    weights = [w.numpy() for w in model.trainable_variables]
    with tf.GradientTape() as tape:
        features = [model.backbone(view, training=True) for view in views()]
        embeddings = [model.projector(f, training=True) for f in features]
        loss = bt_keras.barlow_twins_loss(*embeddings)
    gradients = tape.gradient(loss, model.trainable_variables)
    return features, embeddings, float(loss), [g.numpy() for g in gradients], weights


def assert_is_first_step(snapshot, first_step, tolerance=1e-5):
    features, embeddings, loss, gradients, weights = first_step
    close = {"rtol": tolerance, "atol": tolerance}
    for ours, direct in (
        (snapshot.features, features),
        (snapshot.embeddings, embeddings),
    ):
        for view, expected in zip(ours, direct, strict=True):
            np.testing.assert_allclose(view, expected, **close)
    assert snapshot.loss == pytest.approx(loss, rel=1e-4)
    pairs = list(zip(weights, gradients, strict=True))
    for ours, direct in (
        (snapshot.weight_norms, [np.linalg.norm(w) for w, _ in pairs]),
        (snapshot.gradient_norms, [np.linalg.norm(g) for _, g in pairs]),
        (snapshot.dots, [np.sum(w * g) for w, g in pairs]),
    ):
        np.testing.assert_allclose(ours, direct, rtol=1e-3, atol=1e-4)
    assert snapshot.batch == 8
    # Each pixel of a picture is one of the view.
    nearest = np.arange(96) * 8 // 96
    for picture, view in zip(snapshot.views, views(), strict=True):
        assert len(picture) in (4, 8)  # Those of the first replica.
        expected = view.numpy()[: len(picture), nearest][:, :, nearest]
        np.testing.assert_allclose(picture, expected)


@pytest.mark.parametrize("xla", [False, True])
def test_a_step_on_one_device(first_step, xla):
    assert_is_first_step(fit_one_step(xla=xla), first_step)


def test_a_step_on_two_replicas(first_step, replicas):
    assert_is_first_step(fit_one_step(strategy=replicas(2)), first_step, 1e-4)


def test_a_step_in_microbatches():
    snapshot = fit_one_step(microbatches=2)
    assert [f.shape for f in snapshot.features] == [(8, 6)] * 2
    assert [z.shape for z in snapshot.embeddings] == [(8, 16)] * 2


def test_only_every_nth_step_is_kept():
    """The fifth step of six, counted over two epochs; the last batch is smaller."""
    model, snapshots = compiled(every=4)
    assert snapshots.newest() == 0
    kept, embeddings = [], []

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept.append(snapshots.newest())
            embeddings.append(snapshots.read().embeddings[0])

    data = models.pairs(batches=3).unbatch().take(20).batch(8)
    model.fit(data, epochs=2, verbose=0, callbacks=[Keep()])
    assert kept == [1, 1, 1, 1, 5, 5]
    for number, before in ((1, 0), (2, 0), (3, 0), (5, 4)):
        np.testing.assert_array_equal(embeddings[number], embeddings[before])
    assert not np.array_equal(embeddings[4], embeddings[3])


def test_rows_of_batches_of_different_sizes():
    model, snapshots = compiled()
    data = models.pairs(batches=3).unbatch().take(20).batch(8)
    model.fit(data, verbose=0)
    snapshot = snapshots.read()
    assert [len(rows) for rows in (*snapshot.features, *snapshot.embeddings)] == [4] * 4


def test_wide_embeddings_have_fewer_rows(monkeypatch):
    monkeypatch.setattr(snapshot_module, "_LEAST_ROWS", 2)
    monkeypatch.setattr(snapshot_module, "_NUMBERS", 5 * 16)
    whole = fit_one_step(every=2)
    assert whole.batch == 8
    assert whole.embeddings[0].shape == (5, 16)
    assert whole.features[1].shape == (5, 6)


def test_views_that_are_no_images():
    keras.utils.set_random_seed(0)
    model = models.mixed_inputs()
    model.compile(optimizer="sgd", jit_compile=False)
    snapshots = StepSnapshots(1, values=1)
    model.observe(snapshots)
    model.fit(models.mixed_pairs(batches=1), verbose=0)
    snapshot = snapshots.read()
    assert snapshot.views is None
    assert (snapshot.gradient_norms > 0).any()
