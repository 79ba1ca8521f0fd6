"""Sources made from a `tf.data.Dataset`."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import Source, from_dataset, load
from bt_keras.errors import UsageError
from tests.data import files

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3), np.uint8)


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("names", [None, ["a", "b"]])
def test_users_dataset(batch, names):
    labels = np.arange(10, dtype=np.int32) % 2
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    source = from_dataset(dataset.batch(batch) if batch else dataset, names)
    assert isinstance(source, Source)
    assert source.num_images == 10
    assert source.image_shape == (6, 5, 3)
    assert source.num_classes == (2 if names else None)
    found = files.arrays(source.dataset())
    np.testing.assert_array_equal([image for image, _ in found], IMAGES)
    expected = labels if names else np.full(10, -1)
    np.testing.assert_array_equal([label for _, label in found], expected)


def test_users_dataset_of_images_alone():
    source = load(tf.data.Dataset.from_tensor_slices(IMAGES))
    shuffled, again = (
        [record["image"] for record in files.arrays(source.records((3, 4)))]
        for _ in range(2)
    )
    np.testing.assert_array_equal(shuffled, again)
    assert not np.array_equal(shuffled, IMAGES)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (IMAGES.astype(np.float32), "not images"),
        (IMAGES[..., 0], "not images"),
        (IMAGES[..., :1], "not images"),
        ({"image": IMAGES}, "not images"),
        (IMAGES[:0], "empty"),
    ],
)
def test_datasets_of_other_elements_are_refused(elements, message):
    with pytest.raises(UsageError, match=message):
        from_dataset(tf.data.Dataset.from_tensor_slices(elements))


def test_endless_datasets_are_refused():
    with pytest.raises(UsageError, match="never ends"):
        from_dataset(tf.data.Dataset.from_tensor_slices(IMAGES).repeat())
