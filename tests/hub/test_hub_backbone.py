import shutil

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.export import archive
from bt_keras.hub import HubBackbone, hub_backbone, read_backbone
from tests.conftest import relative_error


@pytest.fixture
def moved(exported, tmp_path):
    """A copy of the module that the test may remove."""
    return shutil.copytree(exported.folder, tmp_path / "module")


def classifier(layer):
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Dense(2)(layer(images)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    return model


def test_a_keras_file_contains_the_module(exported, moved, tmp_path):
    model = classifier(HubBackbone(moved, trainable=True))
    labels = np.arange(4) % 2
    model.fit(exported.images, labels, epochs=2, verbose=0)
    shutil.rmtree(moved)  # The layer has its own files.
    model.save(tmp_path / "model.keras")
    again = reloaded(tmp_path / "model.keras")
    np.testing.assert_allclose(again(exported.images), model(exported.images))
    # The optimizer is restored, too.
    ours = model.fit(exported.images, labels, epochs=2, verbose=0).history["loss"]
    theirs = again.fit(exported.images, labels, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(theirs, ours, rtol=1e-4)
    again.save(tmp_path / "third.keras")
    third = reloaded(tmp_path / "third.keras")
    np.testing.assert_allclose(third(exported.images), again(exported.images))


def reloaded(path):
    """Loads a model as in a new process, without the files of other layers."""
    hub_backbone._LAYERS.clear()
    return keras.models.load_model(path)


@pytest.mark.parametrize("options", [{}, {"return_endpoints": True}], ids=str)
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("toggled", [False, True])
def test_trainable_and_frozen_layers_are_saved_and_loaded(
    exported, moved, tmp_path, trainable, toggled, options
):
    layer = HubBackbone(moved, trainable=trainable, **options)
    if toggled:
        layer.trainable = not trainable
    images = keras.Input((None, None, 3))
    model = keras.Model(images, layer(images))
    model.save(tmp_path / "model.keras")
    shutil.rmtree(moved)
    again = reloaded(tmp_path / "model.keras")
    outputs = again(exported.images)
    features = outputs["features"] if options else outputs
    assert relative_error(features, exported.features()) < 1e-5
    assert len(again.trainable_variables) == len(model.trainable_variables)


def test_a_module_loaded_from_an_archive_is_saved(exported, tmp_path):
    archive.pack(exported.folder, tmp_path / "module.tar.gz")
    model = classifier(HubBackbone(tmp_path / "module.tar.gz"))
    model.save(tmp_path / "model.keras")
    again = reloaded(tmp_path / "model.keras")
    np.testing.assert_allclose(again(exported.images), model(exported.images))


def test_another_module_at_the_handle_is_not_used(exported, moved, tmp_path):
    model = classifier(HubBackbone(moved))
    model.save(tmp_path / "model.keras")
    shutil.rmtree(moved)
    bt_keras.export_backbone(bt_keras.resnet(10, width=1 / 8), moved, image_size=32)
    again = reloaded(tmp_path / "model.keras")
    np.testing.assert_allclose(again(exported.images), model(exported.images))


def test_clones_use_the_files_of_the_original_layer(exported, moved):
    model = classifier(HubBackbone(moved))
    shutil.rmtree(moved)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone(exported.images), model(exported.images))


def test_a_config_without_its_module_is_an_error(exported, moved):
    layer = HubBackbone(moved)
    config = layer.get_config()
    del layer
    shutil.rmtree(moved)
    hub_backbone._LAYERS.clear()
    orphan = HubBackbone.from_config(config)
    with pytest.raises(bt_keras.UsageError, match="not available"):
        orphan.call(exported.images)


def test_replicas_have_the_same_statistics(exported, replicas):
    with replicas(2).scope():
        model = classifier(HubBackbone(exported.folder, trainable=True))
    before = [v.numpy() for v in model.layers[1].non_trainable_weights]
    model.fit(exported.images, np.arange(4) % 2, epochs=2, batch_size=4, verbose=0)
    for old, variable in zip(
        before, model.layers[1].non_trainable_weights, strict=True
    ):
        first, second = variable.value.values
        np.testing.assert_array_equal(first, second)
        assert np.any(old != first.numpy())


def test_weights_are_saved_and_loaded_without_the_module(exported, tmp_path):
    model = classifier(HubBackbone(exported.folder, trainable=True))
    model.fit(exported.images, np.arange(4) % 2, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    again = classifier(HubBackbone(exported.folder, trainable=True))
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(again(exported.images), model(exported.images))


def test_endpoints_by_name(exported):
    layer = HubBackbone(exported.folder, return_endpoints=True)
    images = keras.Input((None, None, 3))
    shapes = {name: tensor.shape for name, tensor in layer(images).items()}
    assert shapes["features"] == (None, 32)
    assert shapes["stride8"] == (None, None, None, 8)
    endpoints = layer(exported.images)
    assert relative_error(endpoints["features"], exported.features()) < 1e-5


@pytest.mark.parametrize(
    ("scale", "shift", "values"), [(255.0, 0.0, "255"), (2.0, -1.0, "-1 to 1")]
)
def test_images_outside_0_to_1_are_refused(exported, scale, shift, values):
    images = exported.images.copy()
    images[0, 0, 0], images[0, 0, 1] = 0.0, 1.0
    layer = HubBackbone(exported.folder)
    with pytest.raises(bt_keras.UsageError, match=rf"in \[0, 1\].*{values}"):
        layer(scale * images + shift)
    with pytest.raises(bt_keras.UsageError, match=r"in \[0, 1\]"):
        layer(np.full_like(images, np.nan))
    trusting = HubBackbone(exported.folder, check_range=False)
    assert trusting(scale * images + shift).shape == (4, 32)


def test_mixed_precision_computes_in_float32(exported):
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = HubBackbone(exported.folder)
    assert relative_error(layer(exported.images), exported.features()) < 1e-5


def test_the_keras_model_is_rebuilt(exported):
    backbone, metadata = read_backbone(exported.folder)
    for ours, theirs in zip(
        backbone.variables, exported.model.backbone.variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert metadata.image_size == 32
    assert metadata.strides == [4, 8, 16, 32]
    assert metadata.versions["keras"] == keras.__version__
