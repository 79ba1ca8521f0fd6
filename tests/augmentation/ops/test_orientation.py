"""Flips and rotations against Pillow, whose angles are counterclockwise."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from bt_keras.augmentation import ops
from bt_keras.augmentation.ops import orientation
from bt_keras.augmentation.ops.packed_rgb import from_image, to_image

TURNS = (None, *(Image.Transpose[f"ROTATE_{angle}"] for angle in (90, 180, 270)))


@pytest.mark.parametrize(
    ("flip", "pillow_flip"),
    [(ops.flip, ImageOps.mirror), (ops.flip_vertically, ImageOps.flip)],
)
def test_flips_equal_pillow(photographs, pillow, flip, pillow_flip):
    mask = np.arange(len(photographs)) % 3 == 0
    expected = pillow(lambda x, m: pillow_flip(x) if m else x, photographs, mask)
    np.testing.assert_array_equal(flip(photographs, mask), expected)


def test_rotations_equal_pillow(photographs, pillow):
    squares = photographs[:, :29, :29]
    turns = np.arange(len(squares)) % 4
    expected = pillow(lambda x, n: x.transpose(TURNS[n]) if n else x, squares, turns)
    got = ops.rotate(squares, turns)
    np.testing.assert_array_equal(got, expected)
    assert got.dtype == squares.dtype
    for image, number, same in zip(squares, turns, expected, strict=True):
        number = tf.constant(number, tf.int32)
        packed = orientation.rotate_packed(from_image(image), number)
        np.testing.assert_array_equal(to_image(packed), same)


def test_images_of_any_number_of_bands():
    bands = np.arange(2 * 3 * 3 * 5, dtype=np.uint16).reshape(2, 3, 3, 5)
    for images in (bands, bands[..., 0]):
        expected = np.stack([images[0], np.rot90(images[1], 3)])
        np.testing.assert_array_equal(ops.rotate(images, [0, 3]), expected)
