"""Images with the statistics of photographs, and Pillow as the reference."""

import numpy as np
import pytest
from PIL import Image


def _natural(rng, count, height, width):
    """Random fields with the 1/f spectrum of photographs, with edges and noise."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    falloff = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width))
    noise = rng.normal(size=(count, height, width, 3))
    spectrum = np.fft.rfft2(noise, axes=(1, 2)) * falloff[:, :, None]
    field = np.fft.irfft2(spectrum, s=(height, width), axes=(1, 2))
    field /= field.std(axis=(1, 2), keepdims=True)
    edge = np.add.outer(np.arange(height) * 0.7, np.arange(width)) > width * 0.8
    gray = field.mean(axis=-1, keepdims=True)
    mixed = (
        0.6 * gray + 0.6 * field + edge[:, :, None] * rng.normal(size=(count, 1, 1, 3))
    )
    levels = 128 + 70 * mixed + rng.normal(size=mixed.shape) * 3
    return np.clip(levels, 0, 255).astype(np.uint8)


def make_photographs(height, width):
    """uint8 (12, H, W, 3): natural-like images, pure noise, black, white and gray."""
    rng = np.random.default_rng(height)
    special = [
        rng.integers(0, 256, (height, width, 3)),
        np.zeros((height, width, 3)),
        np.full((height, width, 3), 255),
        np.repeat(rng.integers(0, 256, (height, width, 1)), 3, axis=-1),
    ]
    natural = _natural(rng, 8, height, width)
    return np.concatenate([natural, np.stack(special).astype(np.uint8)])


@pytest.fixture(scope="session", params=[(40, 64), (33, 29)], ids=str)
def photographs(request):
    return make_photographs(*request.param)


@pytest.fixture(scope="session")
def batch():
    return make_photographs(40, 48)


def through_pillow(function, images, *parameters):
    """`function(Image, parameter, ...)` on every image, as float32 (N, H, W, 3)."""
    results = [
        np.asarray(function(Image.fromarray(image), *(p[i] for p in parameters)))
        for i, image in enumerate(images)
    ]
    return np.stack(results).astype(np.float32)


@pytest.fixture(scope="session")
def pillow():
    return through_pillow
