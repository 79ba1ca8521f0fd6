"""BYOL's loss and target, against arXiv 2006.07733 in NumPy in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.studies.methods.byol import BYOL
from tests.models import pairs, tiny
from tests.studies.methods.rows import rows


def model(**options):
    keras.utils.set_random_seed(0)
    made = BYOL(tiny().backbone, (16, 8), predictor_width=6, **options)
    made.compile(optimizer=keras.optimizers.SGD(0.5), jit_compile=False)
    return made


def weights(byol):
    """Returns what the target averages, as float64 arrays."""
    parts = [*byol.backbone.weights, *byol.projector.weights]
    return [np.asarray(w, np.float64) for w in parts]


def averages(byol):
    return [np.asarray(w, np.float64) for w in byol.target.weights[1:]]


def test_loss():
    z_a, z_b = rows()
    targets = z_b[::-1], z_a * [1, 2, 3, 4, 5, 6, 7, 8]
    byol = model()
    terms = byol.loss_of_targets((z_a, z_b), list(targets))
    expected = 0.0
    for z, target in ((z_a, targets[1]), (z_b, targets[0])):
        prediction = np.float64(byol.predictor(z, training=True))
        prediction /= np.linalg.norm(prediction, axis=1, keepdims=True)
        target = target / np.linalg.norm(target, axis=1, keepdims=True)
        expected += np.mean(np.sum((prediction - target) ** 2, axis=1))
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)


def test_the_target_has_no_gradient():
    targets = [tf.constant(z) for z in rows()]
    byol = model()
    with tf.GradientTape() as tape:
        tape.watch(targets)
        loss = byol.loss_of_targets(rows(), targets)["loss"]
    assert tape.gradient(loss, targets) == [None, None]
    paths = [variable.path for variable in byol.trainable_variables]
    assert not [path for path in paths if "average" in path]
    assert len(averages(byol)) == len(weights(byol))


def test_the_target_is_the_moving_average_of_the_weights():
    byol = model(momentum=0.9)
    expected = weights(byol)
    for _ in range(3):
        byol.fit(pairs(batches=1), verbose=0)
        expected = [
            0.9 * old + 0.1 * new
            for old, new in zip(expected, weights(byol), strict=True)
        ]
    for ours, theirs in zip(averages(byol), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert int(byol.target.updates) == 3


def test_the_target_begins_with_the_weights_that_fit_finds():
    byol = model(momentum=1.0)
    for weight in byol.backbone.trainable_variables:
        weight.assign(weight + 1.0)
    expected = weights(byol)
    byol.fit(pairs(), verbose=0)
    for ours, theirs in zip(averages(byol), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_momentum():
    byol, steps = model(total_steps=40), np.arange(61)
    done = np.minimum(steps / 40, 1)
    expected = 1 - (1 - 0.996) * (np.cos(np.pi * done) + 1) / 2
    ours = [byol.momentum_at(step) for step in steps]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert float(model().momentum_at(17)) == pytest.approx(0.996)


@pytest.mark.parametrize("training", [True, False])
def test_the_target_computes_what_its_weights_say_and_changes_nothing(training):
    byol = model()
    byol.fit(pairs(), verbose=0)
    (view, _), *_ = pairs()
    before = weights(byol)
    ours = byol.target(view, training=training)
    for old, new in zip(before, weights(byol), strict=True):
        np.testing.assert_array_equal(old, new)
    copy = BYOL(tiny().backbone, (16, 8), predictor_width=6)
    parts = [*copy.backbone.weights, *copy.projector.weights]
    for weight, value in zip(parts, averages(byol), strict=True):
        weight.assign(value)
    expected = copy.project(view, training=training)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"momentum": 1.5}, {"total_steps": 0}, {"predictor_width": 0}]
)
def test_bad_options(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        BYOL(tiny().backbone, (16, 8), **options)
