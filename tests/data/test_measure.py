"""Measured statistics, against NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import from_dataset, load, measure
from bt_keras.errors import UsageError
from tests.data import files


@pytest.mark.parametrize("channels", [1, 5])
def test_mean_and_deviation_of_every_band(channels):
    rng = np.random.default_rng(0)
    images = rng.integers(0, [50, 100, 256, 9, 2][:channels], (7, 6, 5, channels))
    dataset = tf.data.Dataset.from_tensor_slices(images.astype(np.uint8))
    found = measure(from_dataset(dataset))
    unit = images / 255
    np.testing.assert_allclose(found.mean, unit.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(found.deviation, unit.std(axis=(0, 1, 2)), rtol=1e-9)


def test_images_of_different_sizes_count_by_their_pixels(tmp_path):
    source = load(files.write_many(tmp_path, 5))
    pixels = [image.numpy().reshape(-1, 3) / 255 for image, _ in source.dataset()]
    expected = np.concatenate(pixels)
    np.testing.assert_allclose(measure(source), [expected.mean(0), expected.std(0)])
    assert measure(tmp_path) == measure(source)


def test_a_constant_band_is_refused():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 3, 2), np.uint8)
    images[..., 1] = 7
    with pytest.raises(UsageError, match=r"^Band 1 .* has the same value everywhere"):
        measure(from_dataset(tf.data.Dataset.from_tensor_slices(images)))
