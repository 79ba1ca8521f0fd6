import keras
import numpy as np
import pytest

import bt_keras
from examples.detection import model, training


@pytest.fixture(scope="module")
def detector(module):
    keras.utils.set_random_seed(0)
    made = model.retinanet(module, num_classes=3, size=64)
    made.compile(optimizer="adam", box_loss="smoothl1", classification_loss="focal")
    return made


def test_the_pyramid_ends_at_the_coarsest_map(module):
    layer = bt_keras.load_backbone(module, return_endpoints=True)
    backbone, strides = model.pyramid(layer, 64)
    assert strides == [8, 16, 32, 64, 128]
    images = np.random.default_rng(0).uniform(size=(2, 64, 64, 3)).astype("float32")
    maps = backbone(images)
    for level, stride in zip(("P3", "P4", "P5"), strides, strict=False):
        name = backbone.pyramid_level_inputs[level]
        assert backbone.get_layer(name).output.shape[1] == 64 // stride
        np.testing.assert_array_equal(maps[level], layer(images)[f"stride{stride}"])


def test_every_anchor_has_its_prediction(detector):
    images = np.zeros((1, 64, 64, 3), np.float32)
    predicted = detector({"images": images})
    anchors = detector.anchor_generator(image_shape=(64, 64, 3))
    count = sum(len(level) for level in anchors.values())
    assert predicted["box"].shape == (1, count, 4)
    assert predicted["classification"].shape == (1, count, 3)
    # The initial bias assumes that objects are rare.
    confidence = keras.ops.sigmoid(predicted["classification"])
    assert 0.005 < float(keras.ops.mean(confidence)) < 0.02


def test_the_whole_backbone_is_trained(detector, module):
    layer = bt_keras.load_backbone(module, trainable=True)
    shapes = sorted(tuple(v.shape) for v in layer.trainable_variables)
    own = detector.backbone.trainable_variables
    assert sorted(tuple(v.shape) for v in own) == shapes
    ids = {id(v) for v in detector.trainable_variables}
    assert all(id(v) in ids for v in own)


def test_random_initialization_replaces_all_weights(module):
    keras.utils.set_random_seed(5)
    kept, forgotten = (bt_keras.load_backbone(module, trainable=True) for _ in range(2))
    model.reinitialize(forgotten, module)
    # Weights are assigned by position, which must be the same in both.
    backbone, _ = bt_keras.hub.read_backbone(module)
    for own, before, after in zip(
        backbone.variables,
        kept.variables,
        forgotten.variables,
        strict=True,
    ):
        before, after = before.numpy(), after.numpy()
        np.testing.assert_array_equal(own, before)
        if before.ndim > 1:
            assert not np.array_equal(before, after)
            # Both are initial weights, from the same distribution.
            np.testing.assert_allclose(after.std(), before.std(), rtol=0.5)
        else:
            np.testing.assert_array_equal(before, after)


def test_images_without_objects_give_a_finite_loss(detector):
    images = np.random.default_rng(0).uniform(size=(2, 64, 64, 3)).astype("float32")
    labels = {
        "boxes": np.full((2, 1, 4), -1, np.float32),
        "classes": np.full((2, 1), -1, np.float32),
    }
    with training._ignore_structure_warning():
        losses = detector.evaluate(images, labels, batch_size=2, return_dict=True)
    assert losses["loss"] == 0


def test_sizes_that_the_strides_do_not_divide(module):
    with pytest.raises(bt_keras.UsageError, match="multiple of the last, not 100"):
        model.check(module, 100)
