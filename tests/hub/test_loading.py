import shutil

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras.hub import read_backbone
from tests.conftest import relative_error


@pytest.fixture
def moved(exported, tmp_path):
    """A copy of the module, to be taken away."""
    return shutil.copytree(exported.folder, tmp_path / "module")


def classifier(layer):
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Dense(2)(layer(images)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    return model


def test_a_saved_model_holds_the_module(exported, moved, tmp_path):
    model = classifier(bt_keras.load_backbone(moved, trainable=True))
    labels = np.arange(4) % 2
    model.fit(exported.images, labels, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    shutil.rmtree(moved)
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(exported.images), model(exported.images))
    # With the optimizer, and on with it.
    ours = model.fit(exported.images, labels, epochs=2, verbose=0).history["loss"]
    theirs = again.fit(exported.images, labels, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(theirs, ours, rtol=1e-4)
    again.save(tmp_path / "third.keras")
    third = keras.models.load_model(tmp_path / "third.keras")
    np.testing.assert_allclose(third(exported.images), again(exported.images))


def test_weights_alone_go_from_one_layer_to_another(exported, tmp_path):
    model = classifier(bt_keras.load_backbone(exported.folder, trainable=True))
    model.fit(exported.images, np.arange(4) % 2, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    again = classifier(bt_keras.load_backbone(exported.folder, trainable=True))
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(again(exported.images), model(exported.images))


def test_endpoints_by_name(exported):
    layer = bt_keras.load_backbone(exported.folder, return_endpoints=True)
    images = keras.Input((None, None, 3))
    shapes = {name: tensor.shape for name, tensor in layer(images).items()}
    assert shapes["features"] == (None, 32)
    assert shapes["stride8"] == (None, None, None, 8)
    endpoints = layer(exported.images)
    assert relative_error(endpoints["features"], exported.features()) < 1e-5


@pytest.mark.parametrize(
    ("scale", "shift", "values"), [(255.0, 0.0, "255"), (2.0, -1.0, "-1 to 1")]
)
def test_images_outside_of_0_to_1_are_refused(exported, scale, shift, values):
    images = exported.images.copy()
    images[0, 0, 0], images[0, 0, 1] = 0.0, 1.0
    layer = bt_keras.load_backbone(exported.folder)
    with pytest.raises(bt_keras.UsageError, match=rf"in \[0, 1\].*{values}"):
        layer(scale * images + shift)
    with pytest.raises(bt_keras.UsageError, match=r"in \[0, 1\]"):
        layer(np.full_like(images, np.nan))
    trusting = bt_keras.load_backbone(exported.folder, check_range=False)
    assert trusting(scale * images + shift).shape == (4, 32)


def test_mixed_precision_takes_images_as_they_are(exported):
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = bt_keras.load_backbone(exported.folder)
    assert relative_error(layer(exported.images), exported.features()) < 1e-5


def test_the_keras_model_is_built_again(exported):
    backbone, known = read_backbone(exported.folder)
    for ours, theirs in zip(
        backbone.variables, exported.model.backbone.variables, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert known["image_size"] == 32
    assert known["strides"] == [4, 8, 16, 32]
    assert known["versions"]["keras"] == keras.__version__
