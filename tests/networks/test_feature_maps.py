import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.networks import feature_maps


def map_layers(backbone):
    """Returns `{stride: (layer, channels)}`."""
    outputs = {id(layer.output): layer.name for layer in backbone.layers}
    return {
        stride: (outputs[id(tensor)], tensor.shape[-1])
        for stride, tensor in feature_maps(backbone).items()
    }


@pytest.mark.parametrize(("depth", "last", "expansion"), [(18, 1, 1), (50, 2, 4)])
def test_maps_of_resnets_are_the_ends_of_stages(depth, last, expansion):
    blocks = {18: (1, 1, 1, 1), 50: (2, 3, 5, 2)}[depth]
    assert map_layers(bt_keras.resnet(depth, width=1 / 16)) == {
        4 * 2**stage: (f"layer{stage + 1}_{block}_relu", expansion * 4 * 2**stage)
        for stage, block in enumerate(blocks)
    }


def test_strides_with_the_cifar_stem():
    strides = list(feature_maps(bt_keras.resnet(18, width=0.1, stem="cifar")))
    assert strides == [1, 2, 4, 8]


def test_the_last_map_is_what_is_pooled():
    """As MobileNet's `out_relu`."""
    network = bt_keras.resnet(18, width=1 / 16, features=48)
    maps = map_layers(network)
    assert maps[16] == ("layer3_1_relu", 16)
    assert maps[32] == ("head_relu", 48)


def test_maps_of_mobilenet_are_those_that_detectors_use():
    network = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=0.35, include_top=False, weights=None, pooling="avg"
    )
    assert {stride: name for stride, (name, _) in map_layers(network).items()} == {
        4: "block_3_expand_relu",
        8: "block_6_expand_relu",
        16: "block_13_expand_relu",
        32: "out_relu",
    }


def test_maps_have_their_strides_and_lead_to_the_features():
    network = bt_keras.resnet(18, width=1 / 16)
    maps = feature_maps(network)
    model = keras.Model(network.input, [*maps.values(), network.output])
    images = np.random.default_rng(0).normal(size=(2, 65, 96, 3)).astype("float32")
    *outputs, features = model(images)
    for stride, output in zip(maps, outputs, strict=True):
        assert output.shape[1:3] == (-(-65 // stride), 96 // stride)
    np.testing.assert_allclose(np.mean(outputs[-1], axis=(1, 2)), features, rtol=1e-5)


def test_bypassed_tensors_are_no_maps():
    images = keras.Input((32, 32, 3))
    half = keras.layers.Conv2D(4, 3, 2, "same", name="half")(images)
    inner = keras.layers.Conv2D(4, 3, 1, "same", name="inner")(half)
    total = keras.layers.Add(name="total")([half, inner])
    written = keras.layers.Identity(name="written")(half + inner)
    features = keras.layers.GlobalAveragePooling2D()(written)
    assert map_layers(keras.Model(images, features)) == {2: ("written", 4)}
    features = keras.layers.GlobalAveragePooling2D()(total)
    assert map_layers(keras.Model(images, features)) == {2: ("total", 4)}
    # The features depend on `half`, too: `total` alone does not determine them.
    both = keras.layers.GlobalAveragePooling2D()(half)
    features = keras.layers.Concatenate()([features, both])
    assert map_layers(keras.Model(images, features)) == {2: ("half", 4)}


def test_backbones_without_a_graph_have_no_maps():
    class Custom(keras.Model):
        def call(self, images):
            return keras.ops.mean(images, axis=(1, 2))

    assert feature_maps(Custom()) == {}
    inside = bt_keras.resnet(18, width=1 / 16)
    images = keras.Input((32, 32, 3))
    assert feature_maps(keras.Model(images, inside(images))) == {}
