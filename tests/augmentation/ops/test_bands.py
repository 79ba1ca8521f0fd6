"""Operations on images of other than three bands, against Pillow's on each band."""

import numpy as np
import pytest
from PIL import ImageEnhance, ImageFilter, ImageOps

from bt_keras.augmentation import ops
from bt_keras.errors import UsageError
from tests.augmentation.ops.test_geometry import (
    boxes_for,
    crop_with_pillow,
    evaluated_with_pillow,
)

COUNT = 6


@pytest.fixture(scope="module", params=[5, pytest.param(1, marks=pytest.mark.slow)])
def images(request, batch):
    """uint8 (6, 40, 48, C): bands of photographs, noise and constants."""
    photographs = np.concatenate([batch[:4], batch[8:10]])
    rolled = np.roll(photographs, 7, axis=2)[..., ::-1]
    return np.concatenate([photographs, rolled], axis=-1)[..., : request.param]


@pytest.fixture
def on_each_band(pillow):
    def apply(function, images, *parameters):
        of_bands = np.moveaxis(images, -1, 0)
        return np.stack([pillow(function, b, *parameters) for b in of_bands], axis=-1)

    return apply


@pytest.mark.parametrize("name", ["Brightness", "Contrast"])
def test_blends_equal_pillow(images, on_each_band, name):
    def enhance(image, factor):
        return getattr(ImageEnhance, name)(image).enhance(float(factor))

    factors = np.linspace(0.3, 1.9, COUNT, dtype=np.float32)
    adjust = getattr(ops, f"adjust_{name.lower()}")
    expected = on_each_band(enhance, images, factors)
    np.testing.assert_array_equal(adjust(images, factors), expected)


def test_jitter_equals_pillow_without_saturation_and_hue(images, on_each_band):
    rng = np.random.default_rng(0)
    brightness, contrast = rng.uniform(0.6, 1.4, (2, COUNT)).astype(np.float32)
    orders = np.stack([rng.permutation(4) for _ in range(COUNT)]).astype(np.int32)
    apply = np.arange(COUNT) != 2

    def jitter(image, order, brightness, contrast, applied):
        for index in order if applied else ():
            if index < 2:
                kind = (ImageEnhance.Brightness, ImageEnhance.Contrast)[index]
                image = kind(image).enhance(float((brightness, contrast)[index]))
        return image

    colors = np.full(COUNT, 0.4, np.float32)
    got = ops.color_jitter(images, brightness, contrast, colors, colors, orders, apply)
    expected = on_each_band(jitter, images, orders, brightness, contrast, apply)
    np.testing.assert_array_equal(got, expected)


def test_blur_and_solarize_equal_pillow(images, on_each_band):
    sigma = np.linspace(0.0, 2.0, COUNT, dtype=np.float32)
    expected = on_each_band(
        lambda x, s: x.filter(ImageFilter.GaussianBlur(float(s))), images, sigma
    )
    np.testing.assert_array_equal(ops.gaussian_blur(images, sigma), expected)
    mask = np.arange(COUNT) % 2 > 0
    expected = on_each_band(
        lambda x, m: ImageOps.solarize(x, 128) if m else x, images, mask
    )
    np.testing.assert_array_equal(ops.solarize(images, mask), expected)


def test_crops_equal_pillow(images, on_each_band):
    boxes = boxes_for(images)
    expected = on_each_band(
        lambda image, box: crop_with_pillow(image, box, 16, "bicubic"), images, boxes
    )
    np.testing.assert_array_equal(ops.crop_and_resize(images, boxes, 16), expected)
    # One image is padded to one of a few sizes.
    alone = ops.crop_and_resize(images[3:4], boxes[3:4], 16)
    np.testing.assert_array_equal(alone, expected[3:4])
    expected = on_each_band(lambda x: evaluated_with_pillow(x, 36, 32), images)
    got = ops.resize_and_center_crop(images, 36, 32)
    np.testing.assert_array_equal(got, expected)
    mask = np.arange(COUNT) % 3 == 0
    expected = on_each_band(lambda x, m: ImageOps.mirror(x) if m else x, images, mask)
    np.testing.assert_array_equal(ops.flip(images, mask), expected)


@pytest.mark.parametrize("name", ["adjust_hue", "adjust_saturation", "grayscale"])
def test_operations_on_colors_refuse_other_images(images, name):
    parameters = np.zeros(COUNT, bool if name == "grayscale" else np.float32)
    with pytest.raises(UsageError, match=rf"^{name} needs RGB images .* got shape"):
        getattr(ops, name)(images, parameters)
