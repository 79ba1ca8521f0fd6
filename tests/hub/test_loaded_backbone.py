import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.hub import HubBackbone
from bt_keras.networks import LoadedBackbone
from tests.conftest import half_precision, relative_error

LABELS = np.arange(4) % 2


def classifier(layer, learning_rate=1e-2):
    images = keras.Input((32, 32, 3))
    head = keras.layers.Dense(2, kernel_initializer="zeros")
    model = keras.Model(images, head(layer(images)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(learning_rate), loss, jit_compile=False)
    return model


def test_it_is_one_flat_model(exported, capsys):
    backbone = bt_keras.load_backbone(exported.folder)
    assert type(backbone) is LoadedBackbone
    names = [layer.name for layer in exported.model.backbone.layers[1:]]
    found = [layer.name for layer in backbone.layers]
    assert found == ["images", "image_normalization", *names]
    assert backbone.input_shape == (None, None, None, 3)
    assert backbone.output_shape == (None, 32)
    backbone.summary()
    assert "layer4_0_conv1" in capsys.readouterr().out


def test_outputs_and_statistics_are_those_of_the_graph(exported):
    options = {"trainable": True, "return_endpoints": True}
    model = bt_keras.load_backbone(exported.folder, **options)
    graph = HubBackbone(exported.folder, **options)
    for training in (False, True, False):  # The last one sees new statistics.
        ours = model(exported.images, training=training)
        theirs = graph(exported.images, training=training)
        assert ours.keys() == theirs.keys()
        for name, expected in theirs.items():
            assert relative_error(ours[name], expected) < 1e-5, (training, name)
    for ours, theirs in zip(model.variables, graph.module.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_fine_tuning_is_that_of_the_graph(exported):
    histories = []
    for load in (bt_keras.load_backbone, HubBackbone):
        keras.utils.set_random_seed(0)
        model = classifier(load(exported.folder, trainable=True))
        fit = model.fit(exported.images, LABELS, batch_size=4, epochs=4, verbose=0)
        histories.append(fit.history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)


def test_regularization_losses_are_those_of_the_graph(tmp_path):
    decay = {"kernel_regularizer": keras.regularizers.L2(0.1)}
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, **decay)(images)
    x = keras.layers.Dense(3, **decay)(keras.layers.GlobalAveragePooling2D()(x))
    bt_keras.export_backbone(keras.Model(images, x), tmp_path / "module", image_size=8)
    inputs = np.zeros((1, 8, 8, 3), "float32")
    losses = []
    for load in (bt_keras.load_backbone, HubBackbone):
        layer = load(tmp_path / "module", trainable=True)
        layer(inputs, training=True)
        losses.append(np.sum([float(loss) for loss in layer.losses]))
        assert len(layer.losses) == 2
    np.testing.assert_allclose(*losses, rtol=1e-5)
    frozen = bt_keras.load_backbone(tmp_path / "module")
    frozen(inputs, training=True)
    assert not frozen.losses


def with_dropout(folder):
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3)(images)
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    bt_keras.export_backbone(keras.Model(images, x), folder, image_size=8)
    return folder


def test_frozen_backbones_stay_in_inference_mode(tmp_path):
    folder = with_dropout(tmp_path / "module")
    images = np.random.default_rng(0).uniform(size=(4, 32, 32, 3)).astype("float32")
    frozen = bt_keras.load_backbone(folder)
    assert not frozen.trainable_variables
    expected = frozen(images)
    copy = keras.models.clone_model(frozen)
    copy.set_weights(frozen.get_weights())
    for backbone in (frozen, copy):
        before = backbone.get_weights()
        classifier(backbone).fit(images, LABELS, verbose=0)
        for old, new in zip(before, backbone.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        np.testing.assert_array_equal(backbone(images, training=True), expected)
    frozen.trainable = True
    assert len(frozen.trainable_variables) == 4
    assert not np.array_equal(frozen(images, training=True), expected)


def test_single_layers_can_be_frozen(exported):
    backbone = bt_keras.load_backbone(exported.folder, trainable=True)
    weights = len(exported.model.backbone.trainable_variables)
    assert len(backbone.trainable_variables) == weights
    for layer in backbone.layers[:5]:
        layer.trainable = False
    assert len(backbone.trainable_variables) == weights - 3
    before = backbone.get_weights()
    classifier(backbone).fit(exported.images, LABELS, epochs=3, verbose=0)
    moved = [
        not np.array_equal(old, new)
        for old, new in zip(before, backbone.get_weights(), strict=True)
    ]
    assert moved[:5] == [False] * 5  # conv1, and bn1 with its statistics
    assert all(moved[5:])


def test_layers_are_tensors_of_the_model(exported):
    backbone = bt_keras.load_backbone(exported.folder, return_endpoints=True)
    own = keras.Model(backbone.input, backbone.get_layer("layer2_0_relu").output)
    assert (
        relative_error(own(exported.images), backbone(exported.images)["stride8"]) == 0
    )


def test_sequential_models_and_files_of_them(exported, tmp_path):
    backbone = bt_keras.load_backbone(exported.folder, trainable=True)
    model = keras.Sequential([backbone, keras.layers.Dense(2)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(exported.images, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(exported.images), model(exported.images))
    # Also what was taken out of a file is exported, without a second normalization.
    bt_keras.export_backbone(again.layers[0], tmp_path / "second", image_size=32)
    second = bt_keras.load_backbone(tmp_path / "second", return_endpoints=True)
    outputs = second(exported.images)
    assert relative_error(outputs["features"], backbone(exported.images)) < 1e-5
    assert sorted(outputs) == ["features", "stride16", "stride32", "stride4", "stride8"]
    graph = tf.saved_model.load(tmp_path / "second")
    assert relative_error(graph(exported.images), backbone(exported.images)) < 1e-5


def test_keras_exports_it_and_xla_compiles_it(exported, tmp_path):
    backbone = bt_keras.load_backbone(exported.folder)
    backbone.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    features = served.serve(exported.images)
    assert relative_error(features, exported.features()) < 1e-5
    compiled = tf.function(backbone, jit_compile=True)
    assert relative_error(compiled(exported.images), exported.features()) < 1e-5


@half_precision
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_global_policy_is_used(exported, policy):
    keras.config.set_dtype_policy(policy)
    backbone = bt_keras.load_backbone(exported.folder, return_endpoints=True)
    outputs = backbone(exported.images)
    assert {output.dtype for output in outputs.values()} == {tf.float32}
    assert backbone.get_layer("conv1").output.dtype == policy.removeprefix("mixed_")
    assert relative_error(outputs["features"], exported.features()) < 0.05
    images = keras.Input((None, None, 3))
    assert {t.dtype for t in backbone(images).values()} == {"float32"}


@half_precision
def test_modules_of_mixed_precision_have_the_global_policy(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    network = bt_keras.resnet(6, width=0.05, stem="cifar")
    bt_keras.export_backbone(network, tmp_path / "module", image_size=16)
    keras.config.set_dtype_policy("float32")
    backbone = bt_keras.load_backbone(tmp_path / "module")
    assert {layer.compute_dtype for layer in backbone.layers} == {"float32"}
    # And again without half precision.
    bt_keras.export_backbone(backbone, tmp_path / "second", image_size=16)
    images = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype("float32")
    graph = tf.saved_model.load(tmp_path / "second")
    assert relative_error(graph(images), backbone(images)) < 1e-5


def test_replicas_normalize_with_the_statistics_of_all_rows(exported, replicas):
    losses, statistics = [], []
    for count in (1, 2):
        with replicas(count).scope():
            model = classifier(bt_keras.load_backbone(exported.folder, trainable=True))
        fit = model.fit(exported.images, LABELS, batch_size=4, epochs=3, verbose=0)
        losses.append(fit.history["loss"])
        variables = model.layers[1].non_trainable_variables
        statistics.append([v.numpy() for v in variables])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for one, two in zip(*statistics, strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("load", [bt_keras.load_backbone, HubBackbone])
@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((2, 28, 28, 1), "repeat gray images"),
        ((28, 28, 3), "add the axis of the batch"),
        ((2, 3, 28, 28), "channels last"),
    ],
)
def test_images_of_another_shape_are_one_line(exported, load, shape, advice):
    images = np.zeros(shape, "float32")
    backbone = load(exported.folder)
    for model in (backbone, keras.Sequential([backbone])):
        with pytest.raises(bt_keras.UsageError) as error:
            model(images)
        expected = f"images must have the shape (N, H, W, 3), but have {shape}: "
        assert str(error.value).startswith(expected)
        assert advice in str(error.value)
        assert "\n" not in str(error.value)


def test_images_of_another_size_are_one_line(tmp_path):
    network = bt_keras.resnet(6, width=0.05, stem="cifar", input_shape=(16, 16, 3))
    bt_keras.export_backbone(network, tmp_path / "module")
    for load in (bt_keras.load_backbone, HubBackbone):
        message = r"\(N, 16, 16, 3\), but have \(2, 20, 20, 3\): resize the images\.$"
        with pytest.raises(bt_keras.UsageError, match=message):
            load(tmp_path / "module")(np.zeros((2, 20, 20, 3), "float32"))


def test_images_outside_0_to_1_are_refused(exported):
    model = keras.Sequential([bt_keras.load_backbone(exported.folder)])
    for images in (exported.levels, 2 * exported.images - 1, exported.images * np.nan):
        with pytest.raises(bt_keras.UsageError, match=r"in \[0, 1\]") as error:
            model(images)
        assert "\n" not in str(error.value)
    trusting = bt_keras.load_backbone(exported.folder, check_range=False)
    assert trusting(exported.levels).shape == (4, 32)


def test_names_of_layers_may_be_those_of_the_normalization(tmp_path):
    inputs = keras.Input((None, None, 3), name="images")
    x = keras.layers.Conv2D(4, 3, name="image_normalization")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="features_float32")(x)
    bt_keras.export_backbone(keras.Model(inputs, x), tmp_path / "module", image_size=8)
    backbone = bt_keras.load_backbone(tmp_path / "module")
    assert backbone.layers[1].name == "image_normalization_"
    assert backbone.layers[2].name == "image_normalization"


def test_sums_sequential_and_nested_networks(tmp_path):
    images = np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype("float32")
    inputs = keras.Input((16, 16, 3))
    conv = keras.layers.Conv2D(3, 3, padding="same")
    total = conv(conv(inputs)) + inputs * 2.0  # Operations, and a shared layer.
    summed = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(total))
    nested = keras.Model(inputs, keras.layers.Dense(4)(summed(inputs)))
    sequential = keras.Sequential([keras.Input((16, 16, 3)), summed])
    listed = keras.Model([inputs], [nested(inputs)])
    for number, network in enumerate((summed, nested, sequential, listed)):
        folder = tmp_path / str(number)
        bt_keras.export_backbone(network, folder)
        backbone = bt_keras.load_backbone(folder, trainable=True)
        assert type(backbone) is LoadedBackbone
        graph = HubBackbone(folder)
        assert relative_error(backbone(images), graph(images)) < 1e-5
        assert len(backbone.trainable_variables) == len(network.trainable_variables)
        bt_keras.export_backbone(backbone, tmp_path / f"again{number}")
        again = bt_keras.load_backbone(tmp_path / f"again{number}")
        assert relative_error(again(images), graph(images)) < 1e-5
