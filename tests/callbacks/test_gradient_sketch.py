"""Norms of sums of gradients from their sketches."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.callbacks import gradient_sketch
from bt_keras.callbacks.gradient_sketch import norms, sketch


def estimated(parts):
    return norms(np.stack([[sketch(tf.constant(p, tf.float32), 1)] for p in parts]))


@pytest.mark.parametrize("shape", [(), (7,), (2, gradient_sketch.WIDTH // 2)])
def test_small_gradients_have_exact_norms(shape):
    parts = np.random.default_rng(0).normal(size=(3, *shape))
    expected = [np.linalg.norm(parts.sum(axis=0))]
    np.testing.assert_allclose(estimated(parts), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["random", "alike", "opposed"])
def test_large_gradients_have_nearly_their_norms(kind):
    rng = np.random.default_rng(0)
    # Of rank 1, whose rows are alike: signs by row would be far off.
    first = np.outer(rng.normal(size=90), rng.normal(size=gradient_sketch.WIDTH))
    second = {
        "random": rng.normal(size=first.shape),
        "alike": first,
        "opposed": -0.99 * first,
    }[kind]
    expected = [np.linalg.norm(first + second)]
    # Five standard deviations.
    np.testing.assert_allclose(estimated([first, second]), expected, rtol=0.08)
