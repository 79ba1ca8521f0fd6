import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.networks import BatchNormalization
from bt_keras.networks.batch_norm import stacked_views
from tests.conftest import half_precision, relative_error

SHAPES = [(24, 5), (8, 3, 4, 5)]


def inputs(shape, offset=3.0):
    rng = np.random.default_rng(int(offset))
    scale = rng.uniform(0.5, 2, shape[-1])
    return (offset + scale * rng.normal(size=shape)).astype("float32")


def layer_with(shape, **kwargs):
    layer = BatchNormalization(**kwargs)
    layer.build(shape)
    rng = np.random.default_rng(1)
    layer.gamma.assign(rng.uniform(0.5, 1.5, shape[-1]))
    layer.beta.assign(rng.normal(size=shape[-1]))
    return layer


def numpy_batch_norm(x, dy, gamma, beta, epsilon=1e-5):
    """Returns y, dx, dgamma, dbeta, mean and unbiased variance, in float64."""
    shape = x.shape
    x, dy = (v.reshape(-1, shape[-1]).astype(np.float64) for v in (x, dy))
    mean, variance = x.mean(0), x.var(0)
    inverse = 1 / np.sqrt(variance + epsilon)
    standard = (x - mean) * inverse
    dx = gamma * inverse * (dy - dy.mean(0) - standard * (dy * standard).mean(0))
    y = standard * gamma + beta
    dgamma, dbeta = (dy * standard).sum(0), dy.sum(0)
    return y.reshape(shape), dx.reshape(shape), dgamma, dbeta, mean, x.var(0, ddof=1)


def run(layer, x, dy):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    gradients = tape.gradient(y, [x, layer.gamma.value, layer.beta.value], dy)
    return (y, *gradients)


def check(result, layer, x, dy, rtol=1e-4):
    gamma, beta = layer.gamma.numpy(), layer.beta.numpy()
    *expected, mean, variance = numpy_batch_norm(x, dy, gamma, beta)
    for name, a, b in zip(
        ("y", "dx", "dgamma", "dbeta"), result, expected, strict=True
    ):
        np.testing.assert_allclose(
            np.float64(a), b, rtol=rtol, atol=rtol * np.abs(b).max(), err_msg=name
        )
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=rtol)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=rtol)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("float32", 1e-5),
        ("float64", 1e-6),  # Moving statistics are compared in float32.
        pytest.param("mixed_bfloat16", 3e-2, marks=half_precision),
        pytest.param("mixed_float16", 3e-3, marks=half_precision),
    ],
)
def test_training_equals_numpy(shape, policy, tolerance):
    layer = layer_with(shape, dtype=policy)
    dtype = layer.compute_dtype
    x, dy = (tf.cast(inputs(shape, offset), dtype) for offset in (3.0, 0.0))
    result = run(layer, x, dy)
    assert result[0].dtype == dtype
    check(result, layer, x.numpy(), dy.numpy(), tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [2, 4])
def test_replicas_share_statistics_and_gradients(replicas, shape, count):
    """Shards of the rows on replicas equal one device with all rows."""
    x, dy = inputs(shape, offset=30.0), inputs(shape, offset=0.0)
    strategy = replicas(count)
    with strategy.scope():
        layer = layer_with(shape)

    @tf.function
    def step(x, dy):
        return strategy.run(lambda a, b: run(layer, a, b), (x, dy))

    shards = [
        strategy.experimental_distribute_values_from_function(
            lambda context, v=v: tf.constant(
                np.split(v, count)[context.replica_id_in_sync_group]
            )
        )
        for v in (x, dy)
    ]
    y, dx, dgamma, dbeta = (
        strategy.experimental_local_results(v) for v in step(*shards)
    )
    result = np.concatenate(y), np.concatenate(dx), sum(dgamma), sum(dbeta)
    check(result, layer, x, dy)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_stacked_views_equal_numpy_for_each_view(shape, compiled, device, request):
    if device == "gpu":
        request.getfixturevalue("gpu_paths")
    x, dy = inputs(shape), inputs(shape, offset=0.0)
    layer = layer_with(shape)
    gamma, beta = layer.gamma.numpy(), layer.beta.numpy()
    mean, variance = np.zeros(shape[-1]), np.ones(shape[-1])
    expected = []
    for half, dy_half in zip(np.split(x, 2), np.split(dy, 2), strict=True):
        *results, m, v = numpy_batch_norm(half, dy_half, gamma, beta)
        mean, variance = 0.9 * mean + 0.1 * m, 0.9 * variance + 0.1 * v
        expected.append(results)
    y, dx, dgamma, dbeta = zip(*expected, strict=True)
    expected = np.concatenate(y), np.concatenate(dx), sum(dgamma), sum(dbeta)

    @tf.function(jit_compile=compiled)
    def step(x, dy):
        with stacked_views(2):
            return run(layer, x, dy)

    for value, correct in zip(step(x, dy), expected, strict=True):
        assert relative_error(value, correct) < 1e-5
    np.testing.assert_allclose(layer.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


def test_evaluation_uses_the_moving_statistics():
    layer = layer_with((8, 5))
    layer.moving_mean.assign([1.0] * 5)
    layer.moving_variance.assign([4.0] * 5)
    x = inputs((8, 5))
    gamma, beta = layer.gamma.numpy(), layer.beta.numpy()
    expected = gamma * (x - 1) / np.sqrt(4 + 1e-5) + beta
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)
    layer.trainable = False
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-5, atol=1e-6)
    assert np.all(layer.moving_mean.numpy() == 1)


def test_config_round_trip():
    layer = BatchNormalization(0.8, 1e-3, "zeros", name="bn")
    restored = keras.layers.deserialize(keras.layers.serialize(layer))
    assert restored.get_config() == layer.get_config()
