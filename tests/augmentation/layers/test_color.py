"""Layers that change levels: probabilities, and images of different sizes."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageFilter, ImageOps

from bt_keras.augmentation import layers, ops
from tests.augmentation.with_pillow import color_jitter


def test_probability_one_and_zero(images):
    always = np.ones(len(images), bool)
    for make, expected in (
        (layers.RandomGrayscale, ops.grayscale(images, always)),
        (layers.RandomSolarize, np.where(images >= 128, 255 - images, images)),
    ):
        np.testing.assert_array_equal(make(probability=1.0)(images), expected)
        np.testing.assert_array_equal(make(probability=0.0)(images), images)
    for make in (layers.ColorJitter, layers.RandomGaussianBlur):
        np.testing.assert_array_equal(make(probability=0.0)(images), images)


PILLOW = {
    "gray": (
        layers.RandomGrayscale(1.0),
        lambda image, _: image.convert("L").convert("RGB"),
    ),
    "solarize": (
        layers.RandomSolarize(1.0, 100),
        lambda image, _: ImageOps.solarize(image, 100),
    ),
    "blur": (
        layers.RandomGaussianBlur((0.5, 4.0), 1.0, seed=3),
        lambda image, sigma: image.filter(ImageFilter.GaussianBlur(float(sigma))),
    ),
    "jitter": (
        layers.ColorJitter(0.8, 0.7, 0.6, 0.4, probability=0.8, seed=3),
        color_jitter,
    ),
}


@pytest.mark.parametrize("name", PILLOW)
def test_ragged_images_equal_pillow(name, batch):
    layer, with_pillow = PILLOW[name]
    images = [batch[0, :20, :48], batch[1], batch[2, :33, :17], batch[3, :9, :30]]
    twin = type(layer).from_config(layer.get_config())
    parameters = twin.get_random_transformation_batch(len(images))
    got = layer(tf.ragged.stack(images))
    for index, image in enumerate(images):
        chosen = tf.nest.map_structure(lambda x, i=index: x[i].numpy(), parameters)
        expected = with_pillow(Image.fromarray(image), chosen)
        np.testing.assert_array_equal(got[index].to_tensor(), np.asarray(expected))
