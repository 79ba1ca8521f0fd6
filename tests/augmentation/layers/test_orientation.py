"""Flips and rotations by right angles."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.augmentation import layers
from bt_keras.errors import UsageError

FLIPS = {
    "horizontal": lambda x: x[:, :, ::-1],
    "vertical": lambda x: x[:, ::-1],
    "horizontal_and_vertical": lambda x: x[:, ::-1, ::-1],
}


@pytest.mark.parametrize("mode", FLIPS)
def test_flips(mode, batch):
    got = layers.RandomFlip(1.0, mode)({"images": batch, "segmentation_masks": batch})
    for entry in got.values():
        np.testing.assert_array_equal(entry, FLIPS[mode](batch))
    np.testing.assert_array_equal(layers.RandomFlip(0.0, mode)(batch), batch)


def test_both_directions_are_independent():
    corner = np.zeros((2000, 2, 2, 1), np.uint8)
    corner[:, 0, 0] = 1
    got = layers.RandomFlip(0.5, "horizontal_and_vertical", seed=1)(corner)
    counts = tf.reduce_sum(got, axis=0)
    np.testing.assert_allclose(counts, np.full((2, 2, 1), 500), atol=100)


def test_rotations(batch):
    squares = batch[:, :40, :40]
    layer = layers.RandomRotate90(1.0, seed=1)
    got = layer({"images": squares, "segmentation_masks": squares})
    turns = []
    for image, mask, before in zip(*got.values(), squares, strict=True):
        np.testing.assert_array_equal(image, mask)
        matches = [np.array_equal(image, np.rot90(before, k)) for k in range(4)]
        turns.append(matches.index(True) if sum(matches) == 1 else None)
    assert {1, 2, 3} <= set(turns)
    assert 0 not in turns
    np.testing.assert_array_equal(layers.RandomRotate90(0.0)(squares), squares)


def test_images_that_are_not_square_are_refused(batch):
    layer = layers.RandomRotate90()
    with pytest.raises(UsageError, match=r"^RandomRotate90 needs square.* 40 x 48 pix"):
        layer(batch)
    dataset = tf.data.Dataset.from_generator(
        lambda: [batch[0]], output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs square images"):
        list(dataset.map(layer))
