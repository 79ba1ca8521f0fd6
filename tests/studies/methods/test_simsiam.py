"""SimSiam's loss, against algorithm 1 of arXiv 2011.10566 in NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.studies.methods.simsiam import SimSiam
from tests.models import tiny
from tests.studies.methods.rows import rows


def model(projector=(16, 8), **options):
    return SimSiam(tiny().backbone, projector, predictor_width=6, **options)


def cosines(a, b):
    a, b = (np.float64(x) / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return (a * b).sum(axis=1)


def test_loss():
    z_a, z_b = rows()
    simsiam = model()
    p_a, p_b = (simsiam.predictor(z, training=True).numpy() for z in (z_a, z_b))
    expected = -np.mean(cosines(p_a, z_b)) / 2 - np.mean(cosines(p_b, z_a)) / 2
    terms = simsiam.loss_terms(z_a, z_b)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)


def test_targets_are_constants():
    z_a, z_b = map(tf.constant, rows())
    simsiam = model()
    # With an identity for the predictor, only the stop-gradient makes a difference.
    simsiam.predictor = lambda z, training: z
    with tf.GradientTape() as tape:
        tape.watch(z_a)
        loss = simsiam.loss_terms(z_a, z_b)["loss"]
    a, b = (np.float64(z) for z in (z_a, z_b))
    a_norm = np.linalg.norm(a, axis=1, keepdims=True)
    unit_a, unit_b = a / a_norm, b / np.linalg.norm(b, axis=1, keepdims=True)
    of_cosine = (unit_b - cosines(a, b)[:, None] * unit_a) / a_norm
    # Once, not twice: the second argument has none.
    expected = -of_cosine / 2 / len(a)
    np.testing.assert_allclose(tape.gradient(loss, z_a), expected, atol=1e-7)


def test_the_projector_ends_with_batch_norm():
    simsiam = model()
    z = simsiam.project(np.random.default_rng(0).normal(size=(9, 8, 8, 3)), True)
    np.testing.assert_allclose(np.mean(z, axis=0), np.zeros(8), atol=1e-5)
    assert np.all(np.std(z, axis=0) < 1.001)


def test_bad_options():
    with pytest.raises(UsageError, match="predictor_width"):
        SimSiam(tiny().backbone, (16, 8), predictor_width=0)
    with pytest.raises(UsageError, match="projector"):
        model(projector=())
