import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.losses import barlow_twins_terms
from tests.conftest import relative_error
from tests.losses.compute import (
    NAMES,
    numpy_loss,
    on_replicas,
    terms_and_gradients,
)

SHAPES = ("16x64", "32x32", "96x24")


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


@pytest.mark.parametrize("implementation", ["gram", "correlation"])
@pytest.mark.parametrize("jit", [False, True])
def test_overflow_is_not_finite_and_large_values_are_exact(implementation, jit):
    rng = np.random.default_rng(0)
    z_a, z_b = rng.normal(size=(2, 8, 16)).astype("float32")
    z_b += z_a

    @tf.function(jit_compile=jit)
    def loss_and_gradients(a, b):
        with tf.GradientTape() as tape:
            tape.watch((a, b))
            loss = bt_keras.barlow_twins_loss(a, b, implementation=implementation)
        return loss, tape.gradient(loss, (a, b))

    for scale in (1e-30, 1e-6, 1.0, 1e15, 1e18):
        a, b = np.float32(scale) * z_a, np.float32(scale) * z_b
        loss, gradients = loss_and_gradients(tf.constant(a), tf.constant(b))
        np.testing.assert_allclose(loss, numpy_loss(a, b, 5e-3), rtol=1e-4)
        assert all(np.isfinite(g.numpy()).all() for g in gradients)
    for scale in (1e20, 1e30, 1e38, np.inf, np.nan):
        for columns in (slice(None), slice(3, 4)):
            a = z_a.copy()
            a[:, columns] *= np.float32(scale)
            for pair in ((a, z_b), (z_b, a)):
                loss, gradients = loss_and_gradients(*map(tf.constant, pair))
                assert np.isnan(loss), scale
                assert not all(np.isfinite(g.numpy()).all() for g in gradients)


@pytest.mark.parametrize(("dtype", "factor"), [("float16", 1e3), ("bfloat16", 1e30)])
def test_overflow_of_half_precision_is_not_finite(dtype, factor):
    z = tf.cast(np.random.default_rng(0).normal(size=(8, 16)) * 1e4, dtype)
    assert np.isfinite(bt_keras.barlow_twins_loss(z, z))
    assert np.isnan(bt_keras.barlow_twins_loss(z * factor, z))


def test_the_loss_of_equal_views_is_never_negative():
    rng = np.random.default_rng(0)
    for rows, width in ((2, 1), (64, 1), (33, 2), (256, 3)):
        for implementation in ("gram", "correlation"):
            z = rng.normal(size=(rows, width)).astype("float32")
            terms = barlow_twins_terms(z, z, implementation)
            assert min(map(float, terms)) >= 0
    whitened = np.linalg.qr(rng.normal(size=(64, 8)))[0].astype("float32")
    for implementation in ("gram", "correlation"):
        assert (
            min(map(float, barlow_twins_terms(whitened, whitened, implementation))) >= 0
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((0, 4)), np.zeros((0, 4))), "z_a and z_b have 0 rows"),
        ((np.zeros((1, 4)), np.zeros((1, 4))), "z_a and z_b have 1 rows"),
        ((np.zeros((4, 0)), np.zeros((4, 0))), "must both be"),
        ((np.zeros((4, 2)), 5e-3), "must both be"),
        ((None, np.zeros((4, 2))), "z_a=None must be"),
        ((np.zeros((4, 2)), [["a", "b"]] * 4), "z_b is string"),
        ((np.zeros((4, 2)), np.zeros((4, 2)), np.zeros(2)), "lambd=<ndarray>"),
        ((np.zeros((4, 2)), np.zeros((4, 2)), -1.0), "lambd=-1.0"),
        ((np.zeros((4, 2)), np.zeros((4, 2)), float("nan")), "lambd=nan"),
        ((np.zeros((4, 2)), np.zeros((4, 2)), "gram"), "lambd='gram'"),
        ((np.zeros((4, 2)), np.zeros((4, 2)), 0.1, 3), "implementation=3"),
    ],
)
def test_arguments_of_another_kind_are_one_line(arguments, message):
    with pytest.raises(bt_keras.UsageError) as error:
        bt_keras.barlow_twins_loss(*arguments)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_batch_of_one_in_a_graph():
    loss = tf.function(
        bt_keras.barlow_twins_loss, input_signature=[tf.TensorSpec((None, 4))] * 2
    )
    for rows in (0, 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="at least 2 images"):
            loss(tf.zeros((rows, 4)), tf.zeros((rows, 4)))
