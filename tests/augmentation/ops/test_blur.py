"""Gaussian blur against Pillow."""

import numpy as np
from PIL import ImageFilter

from bt_keras.augmentation import ops


def test_gaussian_blur_equals_pillow(photographs, pillow):
    sigma = np.linspace(0.1, 2.0, len(photographs), dtype=np.float32)
    sigma[5] = 0
    expected = pillow(
        lambda x, s: x.filter(ImageFilter.GaussianBlur(float(s))), photographs, sigma
    )
    got = ops.gaussian_blur(photographs, sigma)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got[5], photographs[5])


def test_gaussian_blur_wider_than_the_default(photographs, pillow):
    sigma = np.linspace(2.0, 9.0, len(photographs), dtype=np.float32)
    expected = pillow(
        lambda x, s: x.filter(ImageFilter.GaussianBlur(float(s))), photographs, sigma
    )
    got = ops.gaussian_blur(photographs, sigma, max_sigma=9.0)
    np.testing.assert_array_equal(got, expected)
