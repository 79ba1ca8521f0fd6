import numpy as np
import pytest
import tensorflow as tf

from bt_keras import UsageError
from bt_keras.callbacks.labeled_images import LabeledImages
from tests.callbacks import labeled
from tests.models import mixed_inputs, tiny

IMAGES, LABELS = labeled.images(10)


def made(data):
    return LabeledImages("OnlineKNN", "bank", data)


@pytest.mark.parametrize("batch", [None, 4, 10])
def test_features_are_those_of_inference(batch):
    data = (IMAGES, LABELS)
    if batch:
        data = tf.data.Dataset.from_tensor_slices(data).batch(batch)
    backbone = tiny().backbone
    features, labels = made(data).features(backbone)
    expected = backbone(IMAGES, training=False)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(labels, LABELS)
    assert (features.dtype, labels.dtype) == (np.float32, np.int64)


def test_features_follow_the_weights_and_the_backbone():
    images, backbone = made((IMAGES, LABELS)), tiny().backbone
    before, _ = images.features(backbone)
    backbone.set_weights([2 * weight for weight in backbone.get_weights()])
    after, _ = images.features(backbone)
    assert np.abs(after - before).max() > 0.01
    other = tiny().backbone
    features, _ = images.features(other)
    np.testing.assert_allclose(features, other(IMAGES), rtol=1e-5, atol=1e-6)


def test_nests_of_arrays():
    rng = np.random.default_rng(0)
    row, series = rng.normal(size=(5, 5)), rng.normal(size=(5, 7, 2))
    nest = {
        "row": row.astype("float32"),
        "nested": [series.astype("float32"), np.arange(5, dtype="int32")],
    }
    backbone = mixed_inputs().backbone
    features, _ = made((nest, np.arange(5))).features(backbone)
    np.testing.assert_allclose(features, backbone(nest), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES, "must be .images, labels., or a tf.data.Dataset"),
        ((IMAGES, LABELS[:3]), "3 labels for 10 images"),
        ((IMAGES, None), "has no labels"),
        ((5, LABELS), "needs arrays of images"),
        ((None, LABELS), "needs arrays of images"),
        ((IMAGES, [[0], [1, 2]]), "needs one number for each example"),
        ((IMAGES, LABELS + 0.5), "needs whole numbers"),
        (tf.data.Dataset.from_tensors(IMAGES), r"batches of \(images, labels\)"),
        (tf.data.Dataset.from_tensors((IMAGES, LABELS)).repeat(), "must end"),
    ],
    ids=[
        "images",
        "fewer",
        "none",
        "number",
        "no images",
        "ragged",
        "fractions",
        "no labels",
        "endless",
    ],
)
def test_other_data_are_one_line(data, message):
    with pytest.raises(UsageError, match=message) as error:
        made(data)
    assert "OnlineKNN(bank=...)" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_dataset_is_one_line():
    empty = tf.data.Dataset.from_tensors((IMAGES, LABELS)).take(0)
    with pytest.raises(UsageError, match="has no images"):
        made(empty).features(tiny().backbone)
