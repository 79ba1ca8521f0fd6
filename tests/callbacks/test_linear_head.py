"""The linear head against Keras's own training, and against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.callbacks.linear_head import LinearHead
from bt_keras.model.observers import Observer
from tests.callbacks import labeled

RATE = 0.05


class Recorder(Observer):
    """Keeps the features and labels of every step, which runs eagerly."""

    def build(self, model):
        self.steps = []

    def observe(self, step):
        features = np.concatenate([each.numpy() for each in step.features])
        self.steps.append((features, np.tile(step.labels.numpy(), 2)))
        return {}


def head(name="probe", classes=labeled.CLASSES):
    return LinearHead(name, classes, RATE, "OnlineLinearProbe", in_evaluate=True)


@pytest.fixture(scope="module")
def trained():
    """A head after six steps, what it saw, and the logs."""
    model, recorder, ours = labeled.compiled(run_eagerly=True), Recorder("all"), head()
    for observer in (recorder, ours):
        model.observe(observer)
    return ours, recorder.steps, labeled.fit(model)


def test_training_equals_that_of_keras(trained):
    ours, steps, history = trained
    reference = keras.Sequential(
        [keras.layers.Dense(labeled.CLASSES, kernel_initializer="zeros")]
    )
    reference.compile(
        keras.optimizers.Adam(RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    hits = []
    for features, labels in steps:
        logits = reference.predict_on_batch(features)
        hits.append((logits.argmax(axis=1) == labels).mean())
        reference.train_on_batch(features, labels)
    for value, expected in zip(
        ours.layer.get_weights(), reference.get_weights(), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(ours.layer.kernel.numpy()).max() > RATE
    means = np.mean(np.reshape(hits, (2, 3)), axis=1)
    np.testing.assert_allclose(history["probe_top1"], means, rtol=1e-6)
    assert means[1] > means[0]


def test_the_first_gradient_is_that_of_the_mean_cross_entropy():
    """Adam's first step of the moments: m = (1 - beta_1) * gradient."""
    model, recorder, ours = labeled.compiled(run_eagerly=True), Recorder("all"), head()
    for observer in (recorder, ours):
        model.observe(observer)
    labeled.fit(model, data=labeled.pairs().take(1), epochs=1)
    [(features, labels)] = recorder.steps
    errors = np.full((len(labels), labeled.CLASSES), 1 / labeled.CLASSES)
    errors[np.arange(len(labels)), labels] -= 1
    gradient = features.astype(np.float64).T @ errors / len(labels)
    momentum = next(v for v in ours.optimizer.variables if v.shape == gradient.shape)
    np.testing.assert_allclose(momentum.numpy(), 0.1 * gradient, rtol=1e-4, atol=1e-7)


def test_replicas_equal_one_device(two_replicas):
    weights, logs = [], []
    for strategy in (None, two_replicas):
        model, ours = labeled.compiled(strategy), head()
        model.observe(ours)
        logs.append(labeled.fit(model, validation_data=labeled.pairs(8, seed=5)))
        weights.append([v.numpy() for v in ours.variables])
        if strategy:
            copies = strategy.experimental_local_results(ours.layer.kernel.value)
            np.testing.assert_array_equal(*copies)
    assert set(logs[0]) >= {"probe_top1", "val_probe_top1"}
    for name, values in logs[0].items():
        np.testing.assert_allclose(logs[1][name], values, rtol=1e-4)
    for together, alone in zip(*weights, strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-5)


def test_a_step_that_is_not_finite_does_not_train_the_head():
    model, ours = labeled.compiled(), head()
    model.observe(ours)
    [(views, labels)] = list(labeled.pairs(8))
    infinite = tf.data.Dataset.from_tensors(((views[0] * np.inf, views[1]), labels))
    history = labeled.fit(model, data=infinite)
    assert np.isnan(history["loss"][0])
    assert int(ours.optimizer.iterations.numpy()) == 2
    np.testing.assert_array_equal(ours.layer.kernel.numpy(), 0.0)


def test_a_label_out_of_range_gives_nan():
    model, ours = labeled.compiled(), head(classes=2)
    model.observe(ours)
    history = labeled.fit(model, epochs=1, data=labeled.pairs(8))
    assert np.isnan(history["probe_top1"][0])
    np.testing.assert_array_equal(ours.layer.kernel.numpy(), 0.0)
    features = tf.zeros((2, 6))
    np.testing.assert_array_equal(ours.classify(features), [0, 0])
