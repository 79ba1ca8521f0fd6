import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.data.load import SHIPPED
from examples.detection import datasets


def test_tfds_boxes_are_where_the_objects_are(voc):
    found = datasets.from_tfds(voc, "train", size=64)
    assert found.count == 6
    assert found.class_names == ("cat", "dog", "person")
    for number, record in enumerate(found.dataset.as_numpy_iterator()):
        count = number % 3
        assert record["image"].shape == (64, 64, 3)
        np.testing.assert_array_equal(record["classes"], np.arange(count))
        np.testing.assert_array_equal(record["crowd"], [False, True][:count])
        expected = np.array([[0, 0, 32, 32], [0, 32, 32, 64]], np.float32)[:count]
        np.testing.assert_allclose(record["boxes"], expected, atol=1e-4)
        for x1, y1, x2, y2 in record["boxes"].astype(int):
            inside = record["image"][y1 + 2 : y2 - 2, x1 + 2 : x2 - 2]
            assert (inside > 190).all()


def test_tfds_limits_the_number_of_images(voc):
    found = datasets.from_tfds(voc, "train[1:]", size=64, count=2)
    assert found.count == 2
    assert len(list(found.dataset)) == 2
    assert datasets.from_tfds(voc, "train", size=64, count=99).count == 6


def test_training_batches_of_tfds(voc):
    found = datasets.from_tfds(voc, "train", size=64)
    mirrored = set()
    for images, labels in datasets.training_batches(found, 3, seed=0).take(8):
        assert images.shape == (3, 64, 64, 3)
        for image, boxes, classes in zip(
            images.numpy(), *map(np.asarray, labels.values()), strict=True
        ):
            # Difficult objects are left out.
            assert set(classes) <= {-1.0, 0.0}
            assert (boxes[classes < 0] == -1).all()
            for x1, y1, x2, y2 in boxes[classes >= 0].astype(int):
                assert (image[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] > 0.7).all()
                mirrored.add(x1)
    assert mirrored == {0, 32}


def test_data_without_boxes(tmp_path):
    with pytest.raises(bt_keras.UsageError, match="no boxes: --data requires"):
        datasets.from_tfds(SHIPPED, "train", 64)
    folder = tmp_path / "images"
    folder.mkdir()
    tf.io.write_file(
        str(folder / "a.png"), tf.io.encode_png(np.zeros((8, 8, 3), np.uint8))
    )
    with pytest.raises(bt_keras.UsageError, match="no boxes: --data requires"):
        datasets.from_tfds(str(folder), "train", 64)


def test_shipped_canvases_of_training_and_test_differ():
    settings = {"size": 64, "train_split": "test", "test_split": "test"}
    settings |= {"train_images": 4, "test_images": 4}
    train, again, test = (
        np.stack([record["image"] for record in found.dataset])
        for found in (
            datasets.load("shipped", part, seed=0, settings=settings)
            for part in ("train", "train", "test")
        )
    )
    np.testing.assert_array_equal(train, again)
    assert not np.array_equal(train, test)
