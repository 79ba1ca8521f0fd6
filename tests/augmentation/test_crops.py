"""Crops as elements of datasets, and their bytes."""

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.augmentation import Crops, finish_crops
from bt_keras.errors import UsageError

SIZE = 224


def num_bytes(nest):
    tensors = tf.nest.flatten(nest, expand_composites=True)
    return sum(tensor.numpy().nbytes for tensor in tensors)


@pytest.fixture(scope="module")
def batches():
    """A batch of pairs of each kind."""
    images = np.random.default_rng(0).integers(0, 256, (4, 240, 260, 3), "uint8")
    source = tf.data.Dataset.from_tensor_slices(images)

    def first(finish_on_device):
        views = bt_keras.views(SIZE, finish_on_device=finish_on_device)
        return next(iter(bt_keras.pairs(source, views, batch_size=4)))

    return {on_device: first(on_device) for on_device in (False, True)}


def test_crops_have_a_quarter_of_the_bytes_and_their_parameters(batches):
    pixels = SIZE * SIZE * 3
    assert [num_bytes(view) / 4 for view in batches[False]] == [4 * pixels] * 2
    # Flip, four factors, order, whether to jitter, grayscale, sigma; solarize.
    parameters = 1 + 4 * 4 + 4 * 4 + 1 + 1 + 4
    expected = [pixels + parameters, pixels + parameters + 1]
    assert [num_bytes(crops) / 4 for crops in batches[True]] == expected


def test_pairs_of_crops_become_the_pairs_of_views(batches):
    crops = batches[True]
    assert all(isinstance(each, Crops) for each in crops)
    assert all(each.shape == (4, SIZE, SIZE, 3) for each in crops)
    for view, same in zip(finish_crops(crops), batches[False], strict=True):
        np.testing.assert_array_equal(view, same)


def test_rows_of_crops_are_rows_of_views(batches):
    dataset = tf.data.Dataset.from_tensors(batches[True])
    for divided in (dataset.rebatch(2), dataset.unbatch().batch(2)):
        parts = zip(*map(finish_crops, divided), strict=True)
        for view, same in zip(parts, batches[False], strict=True):
            np.testing.assert_array_equal(np.concatenate(view), same)


def test_an_element_without_crops_stays_as_it_is():
    image, text = tf.zeros((2, 3)), "a"
    assert finish_crops({"image": image, "more": [text]}) == {
        "image": image,
        "more": [text],
    }


def test_a_choice_that_is_no_bool_is_named():
    with pytest.raises(UsageError, match="finish_on_device"):
        bt_keras.views(32, finish_on_device="GPU")
