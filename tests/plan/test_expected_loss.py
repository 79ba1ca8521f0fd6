import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.plan import expected_loss
from tests.models import tiny


def correlation(a, b):
    a, b = ((z - z.mean(axis=0)) / z.std(axis=0) for z in (a, b))
    return a.T @ b / len(a)


@pytest.mark.parametrize("rank", [3, 40], ids=["3 of 40 dimensions", "full rank"])
def test_the_terms_are_those_of_independent_views(rank):
    rng, terms = np.random.default_rng(0), []
    mixing = rng.normal(size=(rank, 40))
    for _ in range(400):
        c = correlation(*(rng.normal(size=(12, rank)) @ mixing for _ in range(2)))
        diagonal = np.diag(c)
        redundancy = np.sum(c**2) - np.sum(diagonal**2)
        terms.append((np.sum((1 - diagonal) ** 2), redundancy))
    expected = expected_loss.at_start(batch=12, width=40)
    np.testing.assert_allclose(np.mean(terms, axis=0), expected, rtol=0.06)


def test_a_first_step_on_independent_views_has_this_loss():
    model = tiny(projector=(64, 64), lambd=0.1)
    model.compile(keras.optimizers.SGD(0.0))  # Every step is the first one.
    shape = (2, 40 * 32, 8, 8, 3)
    views = np.random.default_rng(0).normal(size=shape).astype("float32")
    data = tf.data.Dataset.from_tensor_slices(tuple(views)).batch(32)
    history = model.fit(data, verbose=0).history
    invariance, redundancy = expected_loss.at_start(batch=32, width=64)
    assert history["invariance"][0] == pytest.approx(invariance, rel=0.1)
    assert history["redundancy"][0] == pytest.approx(redundancy, rel=0.1)
    expected = invariance + 0.1 * redundancy
    assert history["loss"][0] == pytest.approx(expected, rel=0.1)
