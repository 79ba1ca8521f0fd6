import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.networks import network_by_name
from tests.models import pairs
from tests.networks import named

NAMED = "tests.networks.named"
APPLICATION = "keras.applications.MobileNet"


def test_functions_of_keras_applications_need_no_arguments():
    network = network_by_name(APPLICATION, {"alpha": 0.25}, image_size=32)
    images = np.random.default_rng(0).normal(size=(2, 48, 40, 3))
    assert network(images).shape == (2, 256)
    functions = [f for n, f in vars(keras.applications).items() if n[0].isupper()]
    assert len(functions) >= 38
    for function in functions:
        names = inspect.signature(function).parameters
        assert {"weights", "include_top", "pooling", "input_shape"} <= names.keys()


def test_preprocessing_of_keras_applications_is_left_out():
    name = "keras.applications.MobileNetV3Small"
    network = network_by_name(name, {}, image_size=32)
    assert not [x for x in network.layers if isinstance(x, keras.layers.Rescaling)]
    message = (
        r"rescales images inside \(its layer 'rescaling.*config\.backbone\.options\."
        r"include_preprocessing=False"
    )
    with pytest.raises(bt_keras.UsageError, match=message):
        network_by_name(name, {"include_preprocessing": True}, image_size=32)


@pytest.mark.parametrize(
    ("function", "options", "width"),
    [
        ("network", {}, 6),
        ("network", {"width": 5, "input_shape": (8, 8, 3)}, 5),
        ("partial", {}, 4),
        ("Subclass", {}, 6),
        ("rescaling", {"include_rescaling": False}, 6),
    ],
)
def test_functions_and_classes_of_users(function, options, width):
    network = network_by_name(f"{NAMED}.{function}", options, named.SIZE)
    assert bt_keras.BarlowTwins(network, (4,)).projector.input_shape == (None, width)


@pytest.mark.parametrize("function", ["network", "tokens"])
def test_feature_maps_and_tokens_are_averaged(function):
    options = {"pool": False} if function == "network" else {}
    keras.utils.set_random_seed(0)
    network = network_by_name(f"{NAMED}.{function}", options, named.SIZE)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    maps = keras.Model(network.input, network.layers[-2].output)(images).numpy()
    expected = maps.astype("float64").reshape(2, -1, 6).mean(axis=1)
    np.testing.assert_allclose(network(images), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "size", "parts"),
    [
        (f"{NAMED}.rescaling", {}, 8, ("rescales", "options.include_rescaling=False")),
        (f"{NAMED}.nested_rescaling", {}, 8, ("rescales", "a function of your own")),
        (
            "keras.applications.EfficientNetB0",
            {},
            32,
            ("get_layer('normalization", "network.output)"),
        ),
        (f"{NAMED}.network", {"size": 3}, 8, ("TypeError", "'size'", "options.NAME")),
        (f"{NAMED}.raising", {}, 8, ("RuntimeError: first line second line;",)),
        (f"{NAMED}.number", {}, 8, ("returns 5, not a model of Keras 3",)),
        (f"{NAMED}.network", {"input_shape": (9, 9, 3)}, 8, ("images of 8x8x3",)),
        (f"{NAMED}.with_layer", {"layer": "lambda"}, 8, ("'Lambda'", "@keras")),
        (f"{NAMED}.with_layer", {"layer": "class"}, 8, ("'Unregistered'", "@keras")),
        (f"{NAMED}.with_layer", {"layer": "function"}, 8, ("unregistered_function",)),
    ],
)
def test_networks_that_cannot_be_trained_by_name(name, options, size, parts):
    with pytest.raises(bt_keras.UsageError) as error:
        network_by_name(name, options, size)
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_networks_of_keras_hub():
    pytest.importorskip("keras_hub", reason="KerasHub is not installed")
    options = {"stackwise_num_repeats": [1, 1], "stackwise_num_filters": [8, 8]}
    network = network_by_name("keras_hub.models.VGGBackbone", options, 32)
    assert network.output_shape == (None, 8)


def test_statistics_are_those_of_the_global_batch(replicas):
    """Two replicas compute what one computes."""
    results = []
    for strategy in (tf.distribute.get_strategy(), replicas(2)):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            network = network_by_name(f"{NAMED}.network", {}, named.SIZE)
            model = bt_keras.BarlowTwins(network, (8,))
            model.compile(optimizer="sgd", jit_compile=False)
        history = model.fit(pairs(1), shuffle=False, verbose=0).history
        (norm,) = (x for x in network.layers if hasattr(x, "moving_mean"))
        assert norm.synchronized == (strategy.num_replicas_in_sync == 2)
        results.append([history["loss"], norm.moving_mean, norm.moving_variance])
    for one, two in zip(*results, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-5)
