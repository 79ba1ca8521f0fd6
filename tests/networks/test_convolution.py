import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.distribution import devices
from bt_keras.networks import Conv2D
from bt_keras.networks.convolution import convolve, faster_gradients
from tests.conftest import exact_bfloat16, relative_error
from tests.exported import small_model

IMAGES = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")


@pytest.fixture(params=["avx512", "amx"])
def instructions(request, monkeypatch):
    """Makes the package believe that the CPU has these instructions."""
    monkeypatch.setattr(devices, "cpu_bfloat16", lambda: request.param)
    return request.param


def operations(layer, x, enabled=True):
    """Returns the types of the operations that compute the gradient of the kernel."""

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape, faster_gradients(enabled):
            y = layer(x)
        return tape.gradient(y, layer.trainable_variables)

    return {op.type for op in gradient.get_concrete_function(x).graph.get_operations()}


@pytest.mark.parametrize(
    ("arguments", "side", "dtype", "is_product"),
    [
        ({}, 7, "bfloat16", True),
        ({}, 8, "bfloat16", False),
        ({"strides": 2, "padding": "valid"}, 16, "bfloat16", True),
        ({"strides": 2, "padding": "same"}, 16, "bfloat16", False),
        ({"kernel_size": 1}, 14, "bfloat16", True),
        ({"kernel_size": 1}, 15, "bfloat16", "amx"),
        ({"dilation_rate": 2}, 7, "bfloat16", False),
        ({}, 7, "float32", False),
        ({}, 7, "float16", False),
    ],
)
def test_only_measured_shapes_have_another_gradient(
    instructions, arguments, side, dtype, is_product
):
    if isinstance(is_product, str):
        is_product = is_product == instructions
    arguments = {"kernel_size": 3, "padding": "same", **arguments}
    layer = Conv2D(8, use_bias=False, dtype=dtype, **arguments)
    x = tf.zeros([2, side, side, 64], dtype)
    found = operations(layer, x)
    assert ("MatMul" in found) == is_product
    assert ("Conv2DBackpropFilter" in found) != is_product


def test_nothing_changes_on_other_devices_and_outside_of_training(monkeypatch):
    x = tf.zeros([2, 4, 4, 64], tf.bfloat16)
    for found in ("avx512", "amx", None):
        monkeypatch.setattr(devices, "cpu_bfloat16", lambda v=found: v)
        for enabled in (True, False):
            layer = Conv2D(8, 3, padding="same", dtype="bfloat16")
            expected = operations(keras.layers.Conv2D(**layer.get_config()), x)
            is_equal = operations(layer, x, enabled) == expected
            assert is_equal != bool(found and enabled)


@pytest.mark.parametrize(
    ("stride", "padding", "side"), [(1, "SAME", 5), (2, "VALID", 9)]
)
def test_gradients_of_first_and_second_order(stride, padding, side):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(2, side, side, 3)))
    kernel = tf.constant(rng.normal(size=(3, 3, 3, 4)))

    def orders(convolution):
        with tf.GradientTape() as outer:
            outer.watch([x, kernel])
            with tf.GradientTape() as inner:
                inner.watch([x, kernel])
                loss = tf.reduce_sum(tf.sin(convolution(x, kernel, stride, padding)))
            first = inner.gradient(loss, [x, kernel])
            total = sum(tf.reduce_sum(gradient**3) for gradient in first)
        return [loss, *first, *outer.gradient(total, [x, kernel])]

    for result, exact in zip(orders(convolve), orders(tf.nn.conv2d), strict=True):
        assert relative_error(result, exact) < 1e-12


def gradients(backbone, enabled):
    """Returns the gradients of a network in training, in a graph."""

    @tf.function(autograph=False)
    def compute():
        with tf.GradientTape() as tape, faster_gradients(enabled):
            features = backbone(IMAGES, training=True)
            loss = tf.reduce_sum(tf.sin(tf.cast(features, tf.float32)))
        return tape.gradient(loss, backbone.trainable_variables)

    return compute()


@exact_bfloat16
def test_a_network_has_the_gradients_of_tensorflow(instructions):
    keras.config.set_dtype_policy("mixed_bfloat16")
    backbone = bt_keras.resnet(10, stem="cifar", input_shape=(32, 32, 3))
    for layer in backbone.layers:  # Residual branches start at zero.
        if layer.name.endswith("bn2"):
            layer.gamma.assign(0.5 * np.ones(layer.gamma.shape))
    ours, native = (gradients(backbone, enabled) for enabled in (True, False))
    for variable, a, b in zip(backbone.trainable_variables, ours, native, strict=True):
        assert relative_error(a, b) < 0.01, variable.path
    assert any(np.any(a != b) for a, b in zip(ours, native, strict=True))


def test_files_of_trained_networks_have_tensorflows_gradient(instructions, tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = bt_keras.BarlowTwins(bt_keras.resnet(6, stem="cifar"), (8, 8))
    model.compile(bt_keras.LARS(0.01))
    model.fit(tf.data.Dataset.from_tensors((IMAGES, IMAGES)), verbose=0)
    bt_keras.export_backbone(model.backbone, tmp_path / "module")
    model.backbone.export(tmp_path / "keras", verbose=False)
    for folder in ("module", "keras"):
        message = (tmp_path / folder / "saved_model.pb").read_bytes()
        assert b"Conv2D" in message
        assert b"CustomGradient" not in message
        assert b"Conv2DBackpropInput" not in message


def test_old_files_have_keras_layer_and_new_ones_this_one(tmp_path):
    backbone = small_model().backbone
    path = tmp_path / "backbone.keras"
    backbone.save(path)
    loaded = keras.models.load_model(path)
    assert type(loaded.get_layer("conv1")) is Conv2D
    old = keras.models.clone_model(backbone, clone_function=_as_keras_layer)
    old.set_weights(backbone.get_weights())
    np.testing.assert_array_equal(
        loaded(IMAGES, training=False), old(IMAGES, training=False)
    )


def _as_keras_layer(layer):
    kind = keras.layers.Conv2D if isinstance(layer, Conv2D) else type(layer)
    return kind.from_config(layer.get_config())
