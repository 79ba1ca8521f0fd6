"""Masks and boxes of crops, flips and rotations: what is common to them."""

import numpy as np
import pytest
import tensorflow as tf
from keras_cv import bounding_box

from bt_keras.augmentation import layers
from bt_keras.augmentation.layers.geometric import FORMATS
from bt_keras.errors import UsageError

IMAGES = np.zeros((2, 32, 40, 3), np.uint8)
BOXES = np.float32([[[4, 6, 20, 28], [30, 0, 40, 9]], [[0, 0, 40, 32], [1, 2, 3, 5]]])
CLASSES = np.float32([[5, 6], [7, 8]])


def boxes(coordinates=BOXES, classes=CLASSES):
    return {"boxes": coordinates, "classes": classes}


@pytest.mark.parametrize("box_format", [*FORMATS, "xyWH"])
def test_every_format_of_boxes(box_format):
    given = bounding_box.convert_format(
        boxes(tf.constant(BOXES)), source="xyxy", target=box_format, images=IMAGES
    )
    flip = layers.RandomFlip(1.0, bounding_box_format=box_format)
    got = flip({"images": IMAGES, "bounding_boxes": given})["bounding_boxes"]
    got = bounding_box.convert_format(
        bounding_box.to_dense(got), source=box_format, target="xyxy", images=IMAGES
    )
    expected = np.stack(
        [40 - BOXES[..., 2], BOXES[..., 1], 40 - BOXES[..., 0], BOXES[..., 3]], axis=-1
    )
    np.testing.assert_allclose(got["boxes"], expected, atol=1e-4)
    np.testing.assert_array_equal(got["classes"], CLASSES)


def test_ragged_boxes_and_boxes_that_fill_up():
    flip = layers.RandomFlip(1.0, bounding_box_format="xyxy")
    ragged = boxes(tf.ragged.stack([BOXES[0], BOXES[1, :1]]), [[5, 6], [7]])
    ragged["classes"] = tf.ragged.constant(ragged["classes"], tf.float32)
    filled = boxes(BOXES, np.float32([[5, 6], [7, -1]]))
    for given in (ragged, filled):
        got = flip({"images": IMAGES, "bounding_boxes": given})["bounding_boxes"]
        assert got["classes"].to_list() == [[5, 6], [7]]
        assert got["boxes"].to_list() == [
            [[20, 6, 36, 28], [0, 0, 10, 9]],
            [[0, 0, 40, 32]],
        ]


@pytest.mark.parametrize("is_ragged", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda **k: layers.RandomFlip(0.5, "horizontal_and_vertical", **k),
        lambda **k: layers.RandomRotate90(**k),
        lambda **k: layers.RandomResizedCrop(24, (0.5, 1.0), **k),
    ],
    ids=["flip", "rotate", "crop"],
)
def test_boxes_stay_around_what_they_show(make, is_ragged):
    """A white rectangle in an image, in its mask, and its box."""
    rng = np.random.default_rng(0)
    sizes = [(36, 30), (32, 36), (34, 34)] * 2 if is_ragged else [(32, 32)] * 64
    images, rectangles = [], []
    for height, width in sizes:
        left, top = rng.integers(8, 14, 2)
        right, bottom = left + rng.integers(6, 10), top + rng.integers(6, 16)
        image = np.zeros((height, width, 3), np.uint8)
        image[top:bottom, left:right] = 255
        images.append(image)
        rectangles.append([left, top, right, bottom])
    images = tf.ragged.stack(images) if is_ragged else np.stack(images)
    rectangles = np.float32(rectangles)[:, None]
    given = {
        "images": images,
        "segmentation_masks": images,
        "bounding_boxes": boxes(rectangles, np.ones((len(sizes), 1))),
    }
    got = make(seed=1, bounding_box_format="xyxy")(given)
    seen = 0
    for image, mask, corners in zip(
        got["images"],
        got["segmentation_masks"],
        got["bounding_boxes"]["boxes"],
        strict=True,
    ):
        shown = [dense(image) > 127, dense(mask) > 0]
        if not len(corners):
            assert not np.any(shown)
            continue
        seen += 1
        for pixels in shown:
            rows, columns = np.nonzero(pixels[..., 0])
            edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            # The edge of a resized rectangle lies inside of a pixel.
            np.testing.assert_allclose(edges, corners[0], atol=0.75)
    assert seen > 0.6 * len(sizes)


def dense(image):
    return np.asarray(image if isinstance(image, tf.Tensor) else image.to_tensor())


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"bounding_boxes": boxes()}, r"got bounding boxes but not their format: give"),
        ({"segmentation_masks": IMAGES[:, ::2]}, r"masks \(2, 16, 40, 3\) do not have"),
        (
            {"segmentation_masks": tf.ragged.stack([IMAGES[0], IMAGES[1, :9]])},
            r"masks ragged \(2, None, None, 3\) do not have the sizes of",
        ),
    ],
)
def test_entries_that_cannot_be_moved_are_named(entries, message):
    with pytest.raises(UsageError, match=message):
        layers.RandomFlip()({"images": IMAGES, **entries})
