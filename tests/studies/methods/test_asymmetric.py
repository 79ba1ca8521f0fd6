"""The asymmetric loss, against NumPy in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.studies.methods.asymmetric import Asymmetric

LAMBD = 0.03


def plain_loss(z_a, z_b):
    """Returns the loss of Barlow Twins, equations 1 and 2 of the paper."""
    z_a, z_b = ((z - z.mean(0)) / z.std(0) for z in (z_a, z_b))
    c = z_a.T @ z_b / len(z_a)
    off = np.sum(c**2) - np.sum(np.diag(c) ** 2)
    return np.sum((1 - np.diag(c)) ** 2) + LAMBD * off


def embeddings(seed=0):
    return np.random.default_rng(seed).normal(size=(2, 16, 6))


def model(**options):
    inputs = keras.Input((4,))
    backbone = keras.Model(inputs, keras.layers.Dense(5)(inputs))
    return Asymmetric(backbone, (6, 6), lambd=LAMBD, **options)


def test_the_loss_is_the_mean_of_both_orders():
    z_a, z_b = embeddings()
    asymmetric = model(predictor_width=7, stop_gradient=True)
    p_a, p_b = (
        asymmetric.predictor(z, training=True).numpy().astype("float64")
        for z in (z_a, z_b)
    )
    expected = (plain_loss(p_a, z_b) + plain_loss(p_b, z_a)) / 2
    found = asymmetric.loss_terms(
        tf.constant(z_a, tf.float32), tf.constant(z_b, tf.float32)
    )
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-4)
    assert not np.isclose(expected, plain_loss(z_a, z_b), rtol=1e-2)


@pytest.mark.parametrize(("stop_gradient", "share"), [(False, 1.0), (True, 0.5)])
def test_the_stop_gradient_halves_the_gradient(stop_gradient, share):
    asymmetric = model(stop_gradient=stop_gradient)
    views = [tf.Variable(z.astype("float32")) for z in embeddings(1)]
    with tf.GradientTape() as tape:
        loss = asymmetric.loss_terms(*views)["loss"]
    z_a, z_b = (view.numpy().astype("float64") for view in views)
    assert float(loss) == pytest.approx(plain_loss(z_a, z_b), rel=1e-4)
    for found, (first, second) in zip(
        tape.gradient(loss, views), [(z_a, z_b), (z_b, z_a)], strict=True
    ):
        numeric = numeric_gradient(lambda z, other=second: plain_loss(z, other), first)
        np.testing.assert_allclose(found, share * numeric, rtol=2e-3, atol=2e-4)


def numeric_gradient(function, z, step=1e-5):
    gradient = np.zeros_like(z)
    for index in np.ndindex(z.shape):
        ends = []
        for sign in (1, -1):
            moved = z.copy()
            moved[index] += sign * step
            ends.append(function(moved))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def test_both_orders_are_those_of_the_library():
    z_a, z_b = (tf.constant(z, tf.float32) for z in embeddings(2))
    terms = model().loss_terms(z_a, z_b)
    expected = bt_keras.barlow_twins_loss(z_a, z_b, LAMBD)
    value = expected["loss"] if isinstance(expected, dict) else expected
    np.testing.assert_allclose(terms["loss"], value, rtol=1e-5)
