"""The keras-cv layers: seeds, configuration, labels, probabilities."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.augmentation import layers, ops
from bt_keras.errors import UsageError

LAYERS = {
    "crop": lambda seed: layers.RandomResizedCrop(24, (0.2, 1.0), seed=seed),
    "flip": lambda seed: layers.RandomFlip(0.5, seed=seed),
    "jitter": lambda seed: layers.ColorJitter(0.3, hue=0.2, seed=seed),
    "gray": lambda seed: layers.RandomGrayscale(0.5, seed=seed),
    "blur": lambda seed: layers.RandomGaussianBlur((0.5, 3.0), 0.5, seed=seed),
    "solarize": lambda seed: layers.RandomSolarize(0.5, 100, seed=seed),
}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (64, 32, 32, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", LAYERS)
def test_the_seed_determines_the_result_and_calls_differ(name, images):
    first, again, other = LAYERS[name](5), LAYERS[name](5), LAYERS[name](6)
    got = first(images).numpy()
    assert got.dtype == np.float32
    assert got.min() >= 0
    assert got.max() <= 255
    np.testing.assert_array_equal(got, np.round(got))
    np.testing.assert_array_equal(got, again(images))
    assert np.any(got != first(images).numpy())
    assert np.any(got != other(images).numpy())


@pytest.mark.parametrize("name", LAYERS)
def test_configuration_round_trip(name, images):
    layer = LAYERS[name](5)
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"bt_keras>{type(layer).__name__}"
    restored = keras.saving.deserialize_keras_object(config)
    assert restored.get_config() == layer.get_config()
    np.testing.assert_array_equal(restored(images), layer(images))


@pytest.mark.parametrize("name", LAYERS)
def test_labels_are_unchanged_inside_a_dataset(name, images):
    layer = LAYERS[name](5)
    labels = np.arange(64, dtype=np.float32)
    dataset = tf.data.Dataset.from_tensor_slices({"images": images, "labels": labels})
    (batch,) = dataset.batch(64).map(layer)
    np.testing.assert_array_equal(batch["labels"], labels)
    assert batch["images"].shape == LAYERS[name](5)(images).shape


@pytest.mark.parametrize(
    ("make", "always"),
    [
        (layers.RandomFlip, lambda x: x[:, :, ::-1]),
        (layers.RandomGrayscale, lambda x: ops.grayscale(x, np.ones(64, bool))),
        (layers.RandomSolarize, lambda x: np.where(x >= 128, 255 - x, x)),
    ],
)
def test_probability_one_and_zero(make, always, images):
    np.testing.assert_array_equal(make(probability=1.0)(images), always(images))
    np.testing.assert_array_equal(make(probability=0.0)(images), images)


def test_probability_zero_leaves_images_unchanged(images):
    for layer in (
        layers.ColorJitter(probability=0.0),
        layers.RandomGaussianBlur(probability=0.0),
    ):
        np.testing.assert_array_equal(layer(images), images)


def test_one_image_without_batch(images):
    assert layers.RandomResizedCrop(24)(images[0]).shape == (24, 24, 3)
    assert layers.ColorJitter()(images[0]).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.RandomFlip(1.5), "probability=1.5"),
        (lambda: layers.ColorJitter(hue=0.6), "hue=0.6"),
        (lambda: layers.ColorJitter(-0.1), "brightness=-0.1"),
        (lambda: layers.RandomGaussianBlur((2.0, 1.0)), "sigma=(2.0, 1.0)"),
        (lambda: layers.RandomResizedCrop(32.0), "size=32.0"),
        (lambda: layers.RandomResizedCrop(32, scale=(0, 1)), "scale=(0, 1)"),
        (lambda: layers.RandomFlip(float("nan")), "probability=nan"),
        (lambda: layers.RandomFlip(seed=0.5), "seed=0.5"),
        (lambda: layers.RandomSolarize(threshold=300), "threshold=300"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        make()
