import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import convert
from tests.conftest import relative_error
from tests.reference import weights

QUICK = ("resnet18", "resnet34", "resnet50", "resnet18_cifar")


def compare_features_with_torchvision(recorded, name):
    reference = recorded("features")
    depth, _, stem = name.removeprefix("resnet").partition("_")
    state = weights.resnet_state(int(depth), int(depth), stem=stem or "imagenet")
    backbone = convert.from_torch(state)
    sizes = [
        key.split("/")[1]
        for key in reference
        if key.startswith(f"{name}/") and key.count("/") == 1 and "x" in key
    ]
    assert sizes
    for size in sizes:
        expected = reference[f"{name}/{size}"]
        height, width = map(int, size.split("x"))
        images = weights.images(len(expected), height, width, seed=height + width)
        result = backbone(images, training=False)
        assert relative_error(result, expected) < 1e-4, size


@pytest.mark.parametrize("name", QUICK)
def test_features_equal_torchvision(recorded, name):
    """96 x 96 and 97 x 131 pixels, arbitrary weights and statistics."""
    compare_features_with_torchvision(recorded, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet101", "resnet152"])
def test_features_of_deep_networks_equal_torchvision(recorded, name):
    compare_features_with_torchvision(recorded, name)


def test_initial_weights_are_distributed_as_in_torchvision():
    backbone = bt_keras.resnet(50)
    # torchvision's resnet50 without fc has 23,508,032 parameters.
    assert sum(np.prod(v.shape) for v in backbone.trainable_variables) == 23_508_032
    kernel = backbone.get_layer("layer2_0_conv2").kernel.numpy()
    expected = np.sqrt(2 / (3 * 3 * 128))  # He et al., fan out
    assert abs(kernel.std() / expected - 1) < 0.02
    assert abs(kernel.max()) > 3.5 * expected  # Not truncated.
    assert not np.any(backbone.get_layer("layer3_1_bn3").gamma.numpy())
    assert np.all(backbone.get_layer("layer3_1_bn2").gamma.numpy() == 1)


# torchvision's ResNets without the classifier `fc`.
PARAMETERS = {
    18: 11_176_512,
    34: 21_284_672,
    50: 23_508_032,
    101: 42_500_160,
    152: 58_143_808,
}


@pytest.mark.parametrize("depth", PARAMETERS)
def test_every_depth_has_torchvisions_number_of_parameters(depth):
    """Counted with an eighth of the width; only the images have no more channels."""
    total = 0
    for variable in bt_keras.resnet(depth, width=1 / 8).trainable_variables:
        scaled = [side for side in variable.shape[-2:] if side != 3]
        total += np.prod(variable.shape) * 8 ** len(scaled)
    assert total == PARAMETERS[depth]


def test_width_and_stem():
    backbone = bt_keras.resnet(18, width=0.25, stem="cifar")
    assert backbone.output_shape == (None, 128)
    assert backbone.get_layer("conv1").kernel.shape == (3, 3, 3, 16)
    assert backbone(np.zeros((2, 32, 32, 3), "float32")).shape == (2, 128)


@pytest.mark.parametrize(
    ("depth", "stem", "last"),
    [(18, "cifar", "layer4_1_relu"), (50, "imagenet", "layer4_2_relu")],
)
def test_features_are_pooled_after_a_1x1_convolution(depth, stem, last):
    """Computed in NumPy from the output of the last stage."""
    rng = np.random.default_rng(0)
    backbone = bt_keras.resnet(depth, width=0.1, stem=stem, features=80)
    assert backbone.output_shape == (None, 80)
    norm = backbone.get_layer("head_bn")
    gamma, mean = rng.normal(size=(2, 80))
    beta, variance = rng.normal(size=80), rng.uniform(0.5, 2, 80)
    norm.set_weights([gamma, beta, mean, variance])
    kernel = backbone.get_layer("head_conv").kernel.numpy()[0, 0]
    images = rng.normal(size=(4, 64, 64, 3)).astype("float32")
    last_stage = keras.Model(backbone.input, backbone.get_layer(last).output)
    assert kernel.shape == (last_stage.output_shape[-1], 80)
    x = last_stage(images, training=False).numpy().astype("float64") @ kernel
    x = (x - mean) / np.sqrt(variance + norm.epsilon) * gamma + beta
    expected = np.maximum(x, 0).mean((1, 2))
    assert relative_error(backbone(images, training=False), expected) < 1e-5


@pytest.mark.parametrize("width", [0.05, 0.25])
def test_gradients_of_narrow_networks_equal_float64(width):
    """oneDNN computes wrong ones for strided 1x1 convolutions of few channels."""
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3))
    backbones = []
    for dtype in ("float32", "float64"):
        keras.config.set_dtype_policy(dtype)
        backbones.append(bt_keras.resnet(18, width, stem="cifar"))
    for layer in backbones[0].layers:  # Makes residual branches nonzero.
        if layer.name.endswith("bn2"):
            layer.gamma.assign(0.5 * np.ones(layer.gamma.shape))
    backbones[1].set_weights(backbones[0].get_weights())
    shape = (8, backbones[0].output_shape[-1])
    weights_of_features = np.random.default_rng(1).normal(size=shape)

    @tf.function
    def gradients(backbone):
        with tf.GradientTape() as tape:
            features = backbone(tf.cast(images, backbone.compute_dtype), training=True)
            loss = tf.reduce_sum(tf.cast(features, tf.float64) * weights_of_features)
        return tape.gradient(loss, backbone.trainable_variables)

    exact = gradients(backbones[1])
    for _ in range(50):  # The errors were intermittent.
        for variable, result, expected in zip(
            backbones[0].trainable_variables,
            gradients(backbones[0]),
            exact,
            strict=True,
        ):
            assert relative_error(result, expected) < 1e-3, variable.path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((20,), "18, 34, 50"), ((18, 0.0), "width"), ((18, 1.0, "tiny"), "cifar")],
)
def test_invalid_arguments_are_reported(arguments, message):
    with pytest.raises(bt_keras.UsageError, match=message):
        bt_keras.resnet(*arguments)


def test_other_layers_do_not_depend_on_the_features():
    keras.utils.set_random_seed(0)
    plain = bt_keras.resnet(18, width=0.1)
    keras.utils.set_random_seed(0)
    more = bt_keras.resnet(18, width=0.1, features=80)
    assert {layer.name for layer in more.layers} - {
        layer.name for layer in plain.layers
    } == {"head_conv", "head_bn", "head_relu"}
    for layer in plain.layers:
        for ours, theirs in zip(
            layer.weights, more.get_layer(layer.name).weights, strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("features", [-1, 1.5, "many", True])
def test_invalid_numbers_of_features_are_reported(features):
    with pytest.raises(bt_keras.UsageError, match="features"):
        bt_keras.resnet(18, width=0.1, features=features)
