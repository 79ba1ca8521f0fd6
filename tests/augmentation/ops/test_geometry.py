"""Crops and resizing against Pillow."""

import numpy as np
import PIL
import pytest
import tensorflow as tf
from PIL import Image

from bt_keras.augmentation import ops, sampling
from bt_keras.errors import UsageError

METHODS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def resize_with_pillow(image, width, height, method):
    """`image.resize` of Pillow 13, whose order of passes older versions lack."""
    method = METHODS[method]
    if int(PIL.__version__.split(".")[0]) >= 13:
        return image.resize((width, height), method)
    narrow = image.width / width < (image.height / height + 1) / 2
    vertical_first = image.height > height and narrow
    middle = (image.width, height) if vertical_first else (width, image.height)
    return image.resize(middle, method).resize((width, height), method)


def crop_with_pillow(image, box, size, method):
    top, left, height, width = (int(x) for x in box)
    image = image.crop((left, top, left + width, top + height))
    return resize_with_pillow(image, size, size, method)


def boxes_for(images):
    count, height, width, _ = images.shape
    boxes = sampling.crop_boxes((1, 2), count, height, width).numpy()
    boxes[0] = 0, 0, height, width
    boxes[1] = height - 1, width - 1, 1, 1
    boxes[2] = 0, 3, 2, width - 3
    boxes[3] = 3, 0, height - 3, 2
    return boxes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [16, 49])
def test_crop_and_resize_equals_pillow(photographs, pillow, method, size):
    boxes = boxes_for(photographs)
    expected = pillow(
        lambda image, box: crop_with_pillow(image, box, size, method),
        photographs,
        boxes,
    )
    got = ops.crop_and_resize(photographs, boxes, size, method)
    assert got.dtype == tf.uint8
    np.testing.assert_array_equal(got, expected)


@pytest.mark.slow
def test_crop_of_images_of_any_size_inside_a_dataset(photographs, pillow):
    boxes = boxes_for(photographs)
    expected = pillow(
        lambda image, box: crop_with_pillow(image, box, 32, "bicubic"),
        photographs,
        boxes,
    )
    images = tf.data.Dataset.from_generator(
        lambda: zip(photographs, boxes, strict=True),
        output_signature=(
            tf.TensorSpec((None, None, 3), tf.uint8),
            tf.TensorSpec((4,), tf.int32),
        ),
    )
    crops = images.map(lambda x, box: ops.crop_and_resize(x[None], box[None], 32)[0])
    assert crops.element_spec.shape == (32, 32, 3)
    np.testing.assert_array_equal(np.stack(list(crops)), expected)


@pytest.mark.parametrize("shape", [(900, 60), (31, 210)], ids=str)
def test_crop_of_one_long_image_equals_pillow(pillow, shape):
    """Shrinking by up to 28 needs filters of several groups of taps."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1, *shape, 3)).astype(np.uint8)
    height, width = shape
    for box in [(0, 0, height, width)], [(height // 3, 5, height // 2, width - 9)]:
        expected = pillow(
            lambda image, box: crop_with_pillow(image, box, 32, "bicubic"), images, box
        )
        np.testing.assert_array_equal(ops.crop_and_resize(images, box, 32), expected)


def test_crop_and_resize_to_a_rectangle_and_by_a_large_factor(pillow):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 300, 500, 3)).astype(np.uint8)
    expected = pillow(lambda x: resize_with_pillow(x, 20, 11, "bicubic"), images)
    got = ops.crop_and_resize(images, [[0, 0, 300, 500]] * 2, (11, 20))
    np.testing.assert_array_equal(got, expected)


def evaluated_with_pillow(image, resize, size):
    """torchvision's Resize and CenterCrop on a Pillow image."""
    short, long = sorted(image.size)
    long = int(resize * long / short)
    width, height = image.size
    new = (resize, long) if width <= height else (long, resize)
    image = resize_with_pillow(image, *new, "bilinear")
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    return image.crop((left, top, left + size, top + size))


@pytest.mark.parametrize(("resize", "size"), [(36, 32), (48, 31)])
def test_resize_and_center_crop_equals_pillow(photographs, pillow, resize, size):
    expected = pillow(lambda x: evaluated_with_pillow(x, resize, size), photographs)
    got = ops.resize_and_center_crop(photographs, resize, size)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.slow
def test_resize_and_center_crop_without_known_size(photographs):
    images = tf.data.Dataset.from_generator(
        lambda: photographs, output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    )
    got = images.map(lambda x: ops.resize_and_center_crop(x[None], 40, 32)[0])
    expected = ops.resize_and_center_crop(photographs, 40, 32)
    assert got.element_spec.shape == (32, 32, 3)
    np.testing.assert_array_equal(np.stack(list(got)), expected)


def test_an_image_of_the_right_size_is_not_resampled(photographs):
    short = min(photographs.shape[1:3])
    got = ops.resize_and_center_crop(photographs, short, short)
    top = round((photographs.shape[1] - short) / 2)
    left = round((photographs.shape[2] - short) / 2)
    middle = photographs[:, top : top + short, left : left + short]
    np.testing.assert_array_equal(got, middle)


def test_center_crop_larger_than_the_image_is_refused():
    with pytest.raises(UsageError, match=r"center crop \(40\).*\(32\)"):
        ops.resize_and_center_crop(np.zeros((1, 50, 50, 3), np.uint8), 32, 40)
