import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.export import static_checks
from tests.conftest import half_precision, relative_error
from tests.exported import MEAN, STD, photographs, small_model


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(exported.folder)


def test_call_and_signatures_give_the_features_of_the_model(exported, loaded):
    expected = exported.features()
    assert relative_error(loaded(exported.images), expected) < 1e-5
    signatures = loaded.signatures
    served = signatures["serving_default"](inputs=tf.constant(exported.images))
    assert relative_error(served["features"], expected) < 1e-5
    served = signatures["uint8"](inputs=tf.constant(exported.levels))
    assert relative_error(served["features"], expected) < 1e-5
    files = [tf.io.encode_png(image) for image in exported.levels]
    served = signatures["encoded"](inputs=tf.stack(files))
    # The images have the size of the crops, so that they are not resized.
    assert relative_error(served["features"], expected) < 1e-5


def test_training_updates_the_batch_normalization_statistics(exported):
    module = tf.saved_model.load(exported.folder)  # Training changes it.
    model = small_model()
    normalized = ((exported.images - MEAN) / STD).astype("float32")
    expected = model.backbone(normalized, training=True)
    assert relative_error(module(exported.images, training=True), expected) < 1e-4
    for ours, theirs in zip(module.variables, model.backbone.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 33, 47, 3), (3, 64, 40, 3)])
def test_images_of_any_number_and_size(exported, loaded, shape):
    images = np.random.default_rng(0).uniform(size=shape).astype("float32")
    expected = exported.features(images)
    assert relative_error(loaded(images), expected) < 1e-5
    endpoints = loaded(images, return_endpoints=True)
    assert relative_error(endpoints["features"], expected) < 1e-5
    for stride, channels in {4: 4, 8: 8, 16: 16, 32: 32}.items():
        sides = (-(-side // stride) for side in shape[1:3])
        assert endpoints[f"stride{stride}"].shape == (shape[0], *sides, channels)


def test_endpoints_are_the_feature_maps_of_the_network(exported, loaded):
    endpoints = loaded(exported.images, return_endpoints=True)
    # The features are the mean of the coarsest map.
    mean = tf.reduce_mean(endpoints["stride32"], axis=(1, 2))
    assert relative_error(mean, exported.features()) < 1e-5
    stage = exported.model.backbone.get_layer("layer2_0_relu").output
    normalized = ((exported.images - MEAN) / STD).astype("float32")
    expected = keras.Model(exported.model.backbone.input, stage)(normalized)
    assert relative_error(endpoints["stride8"], expected) < 1e-5


def test_the_projector_is_a_module_of_its_own(exported, loaded):
    projector = exported.model.projector
    expected = projector(exported.features(), training=False)
    embedding = loaded.projector(exported.features())
    assert relative_error(embedding, expected) < 1e-5
    served = loaded.signatures["embedding"](inputs=tf.constant(exported.images))
    assert relative_error(served["embedding"], expected) < 1e-5
    count = len(loaded.projector.trainable_variables)
    assert count == len(projector.trainable_variables)
    # The projector's variables are not among the backbone's.
    ours = {id(v) for v in loaded.variables}
    assert not ours & {id(v) for v in loaded.projector.variables}


def test_regularizers_of_the_backbone_are_losses_of_the_module(tmp_path):
    decay = keras.regularizers.L2(0.1)
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, kernel_regularizer=decay),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    bt_keras.export_backbone(backbone, tmp_path / "module")
    module = tf.saved_model.load(tmp_path / "module")
    (loss,) = module.regularization_losses
    kernel = backbone.layers[0].kernel.numpy()
    np.testing.assert_allclose(loss(), 0.1 * np.sum(kernel**2), rtol=1e-5)
    # Encoded images are cropped to 8 x 8, the input size of the network.
    assert module.signatures["encoded"](
        inputs=tf.constant([tf.io.encode_png(photographs(1)[0]).numpy()])
    )["features"].shape == (1, 4)
    layer = bt_keras.load_backbone(tmp_path / "module", trainable=True)
    layer(np.zeros((1, 8, 8, 3), "float32"), training=True)
    np.testing.assert_allclose(layer.losses[0], loss(), rtol=1e-5)


@pytest.mark.parametrize("inside", [True, False])
def test_a_model_of_several_replicas_runs_on_one_device(replicas, tmp_path, inside):
    strategy = replicas(2)
    with strategy.scope():
        model = small_model()
        if inside:
            bt_keras.export_backbone(model, tmp_path / "module")
    if not inside:
        bt_keras.export_backbone(model, tmp_path / "module")
    checks = {
        check.name: check for check in static_checks.check_graph(tmp_path / "module")
    }
    assert checks["cross-replica operations"].passed
    assert checks["fixed devices"].passed
    images = photographs().astype("float32") / 255
    normalized = ((images - MEAN) / STD).astype("float32")
    expected = small_model().backbone(normalized, training=True)
    module = tf.saved_model.load(tmp_path / "module")
    assert relative_error(module(images, training=True), expected) < 1e-4


@half_precision
def test_a_mixed_precision_backbone_gives_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    small = bt_keras.resnet(10, width=0.05, stem="cifar")
    bt_keras.export_backbone(bt_keras.BarlowTwins(small, (8,)), tmp_path / "module")
    loaded = tf.saved_model.load(tmp_path / "module")
    images = photographs(2, 16).astype("float32") / 255
    endpoints = loaded(images, training=False, return_endpoints=True)
    assert {value.dtype for value in endpoints.values()} == {tf.float32}
    assert sorted(endpoints) == ["features", "stride1", "stride2", "stride4", "stride8"]
