"""SwAV's loss and assignments, against arXiv 2006.09882 in NumPy in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.studies.methods.swav import SwAV, assignments
from tests.models import pairs, tiny
from tests.studies.methods.rows import rows


def model(projector=(16, 8), **options):
    return SwAV(tiny().backbone, projector, num_prototypes=5, **options)


def sinkhorn(scores, epsilon, iterations):
    """The paper's, of the transposed matrix: rows of sum 1/K, columns of sum 1/B."""
    q = np.exp(np.float64(scores).T / epsilon)
    q /= q.sum()
    k, b = q.shape
    for _ in range(iterations):
        q /= q.sum(axis=1, keepdims=True) * k
        q /= q.sum(axis=0, keepdims=True) * b
    return (q * b).T


def expected_loss(z_a, z_b, prototypes, temperature, epsilon, iterations):
    def unit(x, axis):
        return np.float64(x) / np.linalg.norm(x, axis=axis, keepdims=True)

    scores = [unit(z, 1) @ unit(prototypes, 0) for z in (z_a, z_b)]
    q = [sinkhorn(s, epsilon, iterations) for s in scores]
    p = [np.exp(s / temperature) for s in scores]
    p = [each / each.sum(axis=1, keepdims=True) for each in p]
    swapped = (q[1] * np.log(p[0])).sum(axis=1) + (q[0] * np.log(p[1])).sum(axis=1)
    return -np.mean(swapped)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.1, "epsilon": 0.05, "iterations": 3},
        {"temperature": 0.5, "epsilon": 0.2, "iterations": 1},
    ],
)
def test_loss(options):
    z_a, z_b = rows()
    swav = model(**options)
    expected = expected_loss(z_a, z_b, np.asarray(swav.prototypes), **options)
    loss = swav.loss_terms(z_a, z_b)["loss"]
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_assignments_share_the_prototypes():
    scores = np.random.default_rng(0).uniform(-1, 1, (60, 5)).astype(np.float32)
    scores[:, 0] += 0.5
    q = assignments(scores, 0.2, 50).numpy()
    np.testing.assert_allclose(q.sum(axis=1), np.ones(60), rtol=1e-5)
    np.testing.assert_allclose(q.sum(axis=0), np.full(5, 12), rtol=1e-3)
    np.testing.assert_allclose(
        assignments(scores, 0.2, 3), sinkhorn(scores, 0.2, 3), rtol=1e-4, atol=1e-7
    )


def test_assignments_of_a_small_epsilon():
    scores = np.random.default_rng(0).uniform(-1, 1, (60, 5)).astype(np.float32)
    scores[:, 0] = -1.0  # exp(-1 / 0.005) is 0 in float32.
    np.testing.assert_allclose(
        assignments(scores, 0.005, 3), sinkhorn(scores, 0.005, 3), rtol=1e-3, atol=1e-6
    )


def test_assignments_are_constants():
    scores = [tf.constant(z) for z in rows()]
    swav = model(projector=(16, 5))
    swav._scores = lambda z: z
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = swav.loss_terms(*scores)["loss"]
    gradient, _ = tape.gradient(loss, scores)
    z_a, z_b = map(np.float64, scores)
    p = np.exp(z_a / 0.1) / np.exp(z_a / 0.1).sum(axis=1, keepdims=True)
    expected = (p - sinkhorn(z_b, 0.05, 3)) / 0.1 / len(p)
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_frozen_prototypes():
    swav = model(frozen_steps=2)
    swav.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    start = np.asarray(swav.prototypes)
    swav.fit(pairs(batches=2), verbose=0)
    np.testing.assert_array_equal(swav.prototypes, start)
    swav.fit(pairs(batches=1), verbose=0)
    assert (np.asarray(swav.prototypes) != start).any()


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0}, {"epsilon": 0}, {"iterations": 0}, {"frozen_steps": -1}],
)
def test_bad_options(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        model(**options)
