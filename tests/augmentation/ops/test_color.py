"""Color operations against Pillow, as torchvision's adjust_* functions use it."""

import itertools

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from bt_keras.augmentation import ops


def hue_with_pillow(image, shift):
    hue, saturation, value = image.convert("HSV").split()
    levels = np.array(hue)
    levels += np.int32(float(shift) * 255).astype(np.uint8)
    turned = Image.merge("HSV", (Image.fromarray(levels), saturation, value))
    return turned.convert("RGB")


WITH_PILLOW = [
    lambda image, factor: ImageEnhance.Brightness(image).enhance(float(factor)),
    lambda image, factor: ImageEnhance.Contrast(image).enhance(float(factor)),
    lambda image, factor: ImageEnhance.Color(image).enhance(float(factor)),
    hue_with_pillow,
]
OURS = [
    ops.adjust_brightness,
    ops.adjust_contrast,
    ops.adjust_saturation,
    ops.adjust_hue,
]


@pytest.mark.parametrize("index", [0, 1, 2], ids=["brightness", "contrast", "color"])
def test_blends_equal_pillow(photographs, pillow, index):
    factors = np.linspace(0.0, 2.0, len(photographs), dtype=np.float32)
    factors[-3:] = 1.0, 0.61, 1.39
    expected = pillow(WITH_PILLOW[index], photographs, factors)
    np.testing.assert_array_equal(OURS[index](photographs, factors), expected)


def test_factor_one_changes_nothing(photographs):
    ones = np.ones(len(photographs), np.float32)
    for adjust in OURS[:3]:
        np.testing.assert_array_equal(adjust(photographs, ones), photographs)


def test_hue_equals_pillow(photographs, pillow):
    shift = np.linspace(-0.5, 0.5, len(photographs), dtype=np.float32)
    expected = pillow(hue_with_pillow, photographs, shift)
    np.testing.assert_array_equal(ops.adjust_hue(photographs, shift), expected)


def test_hue_of_a_lattice_of_colors_equals_pillow(pillow):
    """Every third level of each channel: 614,125 colors. (All 2^24 were equal too.)"""
    levels = np.arange(0, 256, 3, dtype=np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    shift = np.linspace(-0.1, 0.1, len(colors), dtype=np.float32)
    expected = pillow(hue_with_pillow, colors, shift)
    np.testing.assert_array_equal(ops.adjust_hue(colors, shift), expected)


def test_color_jitter_in_every_order_equals_pillow(photographs, pillow):
    orders = np.array(list(itertools.permutations(range(4))), np.int32)
    images = np.tile(photographs[:8], (3, 1, 1, 1))
    rng = np.random.default_rng(0)
    factors = rng.uniform(0.6, 1.4, (3, 24)).astype(np.float32)
    shift = rng.uniform(-0.1, 0.1, 24).astype(np.float32)
    parameters = np.stack([*factors, shift], axis=1)
    apply = np.arange(24) % 5 != 0

    def jitter(image, order, values, applied):
        for index in order if applied else ():
            image = WITH_PILLOW[index](image, values[index])
        return image

    expected = pillow(jitter, images, orders, parameters, apply)
    got = ops.color_jitter(images, *factors, shift, orders, apply).numpy()
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got[~apply], images[~apply])


def test_grayscale_equals_pillow(photographs, pillow):
    mask = np.arange(len(photographs)) % 3 > 0
    expected = pillow(
        lambda x, m: x.convert("L").convert("RGB") if m else x, photographs, mask
    )
    np.testing.assert_array_equal(ops.grayscale(photographs, mask), expected)


@pytest.mark.parametrize("threshold", [128, 10])
def test_solarize_equals_pillow(photographs, pillow, threshold):
    mask = np.arange(len(photographs)) % 2 > 0
    expected = pillow(
        lambda x, m: ImageOps.solarize(x, threshold) if m else x, photographs, mask
    )
    got = ops.solarize(photographs, mask, threshold=threshold)
    np.testing.assert_array_equal(got, expected)


def test_normalize(photographs):
    expected = (photographs / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(ops.normalize(photographs), expected, atol=2e-6)
