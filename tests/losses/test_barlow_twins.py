import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.losses import barlow_twins_terms
from tests.conftest import relative_error
from tests.losses.compute import NAMES, on_replicas, terms_and_gradients

SHAPES = ("16x64", "32x32", "96x24")


def numpy_loss(z_a, z_b, lambd):
    """Equations 1 and 2 of the paper in float64."""
    a, b = (
        (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in map(np.float64, (z_a, z_b))
    )
    c = a.T @ b / len(a)
    off_diagonal = c - np.diag(np.diag(c))
    return np.sum((1 - np.diag(c)) ** 2) + lambd * np.sum(off_diagonal**2)


@pytest.mark.parametrize("implementation", ["gram", "correlation", "auto"])
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_pytorch_in_float64(recorded, shape, implementation):
    reference = recorded("loss")
    z_a, z_b = reference[f"{shape}/z_a"], reference[f"{shape}/z_b"]
    for lambd in reference["lambdas"]:
        result = terms_and_gradients(z_a, z_b, lambd, implementation)
        for name, value in zip(NAMES, result, strict=True):
            expected = reference[f"{shape}/{lambd}/{name}"]
            assert relative_error(value, expected) < 1e-5, name


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("implementation", ["gram", "correlation"])
def test_gradient_is_accurate_for_nearly_equal_views(implementation, noise):
    """Near the optimum 1 - d is tiny, and 1 - mean(a b) would be rounding noise."""
    rng = np.random.default_rng(0)
    shared, first, second = rng.normal(size=(3, 48, 20))
    z_a, z_b = (3 + shared + noise * own for own in (first, second))
    z_a, z_b = np.float32(z_a), np.float32(z_b)
    lambd = 1e-4  # Small, since the cancellation is in the invariance term.
    loss, _, _, grad_a, _ = terms_and_gradients(z_a, z_b, lambd, implementation)
    assert relative_error(loss, numpy_loss(z_a, z_b, lambd)) < 1e-5
    step = 1e-6 * np.eye(1, z_a.size).reshape(z_a.shape)
    z_a, z_b = np.float64(z_a), np.float64(z_b)
    up, down = numpy_loss(z_a + step, z_b, lambd), numpy_loss(z_a - step, z_b, lambd)
    difference = (up - down) / 2e-6
    scale = np.abs(grad_a).max()
    assert abs(grad_a.numpy()[0, 0] - difference) / scale < 1e-4


def test_loss_does_not_depend_on_scale_and_offset_of_columns():
    rng = np.random.default_rng(1)
    z_a, z_b = rng.normal(size=(2, 32, 12)).astype("float32")
    shifted = z_a * rng.uniform(5, 50, 12) + rng.normal(size=12)
    plain = bt_keras.barlow_twins_loss(z_a, z_b)
    np.testing.assert_allclose(
        bt_keras.barlow_twins_loss(shifted.astype("float32"), z_b), plain, rtol=1e-4
    )


def test_equal_views_have_zero_invariance():
    z = tf.random.normal((64, 16))
    invariance, redundancy = barlow_twins_terms(z, z)
    assert invariance < 1e-8
    assert redundancy > 0.1


def test_constant_column_has_finite_gradients():
    z = np.random.default_rng(2).normal(size=(16, 8)).astype("float32")
    z[:, 3] = 7.0
    for implementation in ("gram", "correlation"):
        values = terms_and_gradients(z, z[::-1].copy(), 5e-3, implementation)
        assert all(np.isfinite(v).all() for v in values)


def test_half_precision_embeddings_are_computed_in_float32():
    z = tf.random.normal((2, 64, 512)) * 30
    half = tf.cast(z, tf.float16)
    loss = bt_keras.barlow_twins_loss(*tf.unstack(half))
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, numpy_loss(*half.numpy(), lambd=5e-3), rtol=1e-5)


def test_cross_correlation_equals_numpy():
    z_a, z_b = np.random.default_rng(3).normal(size=(2, 50, 6)).astype("float32")
    c = np.corrcoef(z_a.T, z_b.T)[:6, 6:]
    np.testing.assert_allclose(bt_keras.cross_correlation(z_a, z_b), c, atol=1e-4)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("implementation", ["gram", "correlation"])
def test_replicas_equal_pytorch_on_the_global_batch(
    recorded, replicas, implementation, count
):
    reference, lambd = recorded("loss"), 0.0051
    strategy = replicas(count)
    for shape in SHAPES:
        z_a, z_b = reference[f"{shape}/z_a"], reference[f"{shape}/z_b"]
        results = on_replicas(strategy, z_a, z_b, lambd, implementation)
        for name, values in results.items():
            expected = reference[f"{shape}/{lambd}/{name}"]
            if name.startswith("grad"):
                values = [np.concatenate(values)]
            for value in values:
                assert relative_error(value, expected) < 1e-5, name


@pytest.mark.parametrize(
    ("z_a", "z_b", "message"),
    [
        (np.zeros((4, 8)), np.zeros((4, 9)), "shapes"),
        (np.zeros((4, 2, 8)), np.zeros((4, 2, 8)), "shapes"),
        (np.zeros((1, 8)), np.zeros((1, 8)), "at least 2 images"),
    ],
)
def test_invalid_embeddings_are_reported(z_a, z_b, message):
    with pytest.raises(bt_keras.UsageError, match=message):
        bt_keras.barlow_twins_loss(z_a, z_b)


def test_unknown_implementation_is_reported():
    with pytest.raises(bt_keras.UsageError, match="gram, correlation"):
        bt_keras.barlow_twins_loss(np.zeros((4, 8)), np.zeros((4, 8)), 1.0, "fft")
