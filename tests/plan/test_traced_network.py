"""Activations that are kept, and operations, against counts by hand."""

import keras
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.networks import BatchNormalization
from bt_keras.plan import traced_network

ROWS, SIZE, CHANNELS = 4, 16, 8
VIEW = tf.TensorSpec((ROWS, SIZE, SIZE, 3))
# Elements of an output of the convolution.
MAP = ROWS * SIZE * SIZE * CHANNELS


def network(policy="float32"):
    """A convolution, batch norm, ReLU and pooling."""
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(CHANNELS, 3, padding="same", use_bias=False)(inputs)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def _convolutions(count):
    return [keras.layers.Conv2D(CHANNELS, 3, padding="same") for _ in range(count)]


def dense(*widths):
    layers = (keras.layers.Dense(width, use_bias=False) for width in widths)
    return keras.Sequential([keras.Input((6,)), *layers])


def test_inputs_of_batch_norm_and_outputs_of_relu_are_kept():
    found = traced_network.cost(network(), VIEW, of_views=True)
    # And the statistics of batch norm.
    assert 2 * MAP * 4 <= found.kept <= 2 * MAP * 4 + 4 * CHANNELS * 4
    assert found.copies == 0


def test_gradients_of_activations_are_freed_after_their_last_use():
    found = traced_network.cost(network(), VIEW, of_views=True)
    # Each operation reads the gradient of its output and writes that of its input.
    assert 2 * MAP * 4 <= found.passed_back <= 2.1 * MAP * 4
    deeper = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *_convolutions(4)])
    found = traced_network.cost(deeper, VIEW, of_views=True)
    assert 2 * MAP * 4 <= found.passed_back <= 2.1 * MAP * 4


def test_bfloat16_keeps_half_and_a_copy_of_the_view():
    found = traced_network.cost(network("mixed_bfloat16"), VIEW, of_views=True)
    least = (2 * MAP + ROWS * SIZE * SIZE * 3) * 2
    assert least <= found.kept <= least + 4 * CHANNELS * 4


def test_bfloat16_keeps_copies_of_weights_that_pass_gradients_on():
    keras.config.set_dtype_policy("mixed_bfloat16")
    found = traced_network.cost(dense(5, 5), tf.TensorSpec((ROWS, 6)), of_views=True)
    assert found.copies == 5 * 5 * 2


def test_a_frozen_network_keeps_nothing():
    frozen = network()
    frozen.trainable = False
    found = traced_network.cost(frozen, VIEW, of_views=True)
    assert (found.kept, found.backward) == (0, 0)


def test_features_have_a_gradient_and_views_have_none():
    spec, product = tf.TensorSpec((ROWS, 6)), 2 * ROWS * 6 * 5
    of_views = traced_network.cost(dense(5), spec, of_views=True)
    assert (of_views.forward, of_views.backward) == (product, product)
    assert of_views.kept == 0
    of_features = traced_network.cost(dense(5), spec, of_views=False)
    assert (of_features.forward, of_features.backward) == (product, 2 * product)
    assert of_features.kept == ROWS * 6 * 4


def test_nested_inputs_have_costs():
    a, b = keras.Input((6,), name="a"), keras.Input((3,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    model = keras.Model({"a": a, "b": b}, keras.layers.Dense(5)(joined))
    specs = {name: tf.TensorSpec((ROWS, size)) for name, size in (("a", 6), ("b", 3))}
    found = traced_network.cost(model, specs, of_views=True)
    assert found.forward == 2 * ROWS * 9 * 5


class Occupied(keras.Layer):
    """Keeps the positive elements, whose number is known only in the run."""

    def call(self, x):
        positive = tf.boolean_mask(x, x > 0)
        return tf.reduce_sum(tf.square(positive)) + tf.reduce_sum(x, axis=1)


def test_layers_of_unknown_sizes_are_named():
    inputs = keras.Input((6,))
    outputs = Occupied(name="occupied")(keras.layers.Dense(5)(inputs))
    found = traced_network.cost(
        keras.Model(inputs, outputs, name="net"), tf.TensorSpec((ROWS, 6)), True
    )
    assert found.left_out
    assert all("/occupied" in name for name in found.left_out)
    assert found.forward == 2 * ROWS * 6 * 5


def test_recurrent_layers_are_named():
    inputs = keras.Input((7, 6))
    model = keras.Model(inputs, keras.layers.LSTM(5, name="lstm")(inputs), name="net")
    found = traced_network.cost(model, tf.TensorSpec((ROWS, 7, 6)), of_views=True)
    assert found.left_out
    assert all("/lstm" in name for name in found.left_out)


def test_transformers_are_counted():
    inputs = keras.Input((7, 6))
    x = keras.layers.MultiHeadAttention(2, 3)(inputs, inputs)
    model = keras.Model(inputs, keras.layers.LayerNormalization()(inputs + x))
    found = traced_network.cost(model, tf.TensorSpec((ROWS, 7, 6)), of_views=True)
    assert found.left_out == ()
    # Queries, keys, values and outputs; products of queries and keys, and with values.
    assert found.forward == 2 * ROWS * (4 * 7 * 6 * 6 + 2 * 7 * 7 * 6)


def test_resnet18_has_the_operations_that_torchvision_states():
    """1.81 GMAC, in the documentation of `ResNet18_Weights`."""
    found = traced_network.cost(
        bt_keras.resnet(18), tf.TensorSpec((1, 224, 224, 3)), of_views=True
    )
    assert found.forward / 2e9 == pytest.approx(1.81, abs=0.005)
    # The gradients of the kernels, and of all inputs but the image.
    first = 2 * 112 * 112 * 7 * 7 * 3 * 64
    assert found.backward == 2 * found.forward - first
