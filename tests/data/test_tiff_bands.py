"""TIFF files of several bands, against the arrays that they were written from."""

import itertools

import numpy as np
import pytest

from bt_keras.data import tiff_bands
from bt_keras.data.pillow_image import UnsupportedError
from tests.data import band_files, files

RNG = np.random.default_rng(0)
DTYPES = (np.uint8, np.uint16)


def levels(dtype, channels=5, height=11, width=21):
    # Predictors and tiles that are read wrongly would change smooth images, too.
    rows, columns, bands = np.mgrid[:height, :width, :channels]
    high = np.iinfo(dtype).max
    noise = RNG.integers(0, high // 4, (height, width, channels))
    return (noise + high // 3 * (np.sin(rows + columns / 3 + bands) + 1)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("separate", [False, True])
def test_interleaved_and_separate_bands(dtype, tile, predictor, separate):
    kinds = (("<", False), (">", False), ("<", True))
    for (order, big), channels in itertools.product(kinds, (2, 5)):
        expected = levels(dtype, channels)
        contents = band_files.tiff(expected, order, big, separate, predictor, tile)
        found = tiff_bands.read(contents)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected)
        assert tiff_bands.shape(contents) == expected.shape


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bands_as_pages(dtype, compression):
    expected = levels(dtype, 16)
    contents = band_files.pages(expected, compression=compression)
    np.testing.assert_array_equal(tiff_bands.read(contents), expected)
    assert tiff_bands.shape(contents) == expected.shape


def test_differences_that_libtiff_wrote():
    expected = levels(np.uint8, 4)
    contents = band_files.pages(expected, compression="tiff_lzw", tiffinfo={317: 2})
    np.testing.assert_array_equal(tiff_bands.read(contents), expected)


def test_smaller_versions_and_masks_are_no_bands():
    expected = levels(np.uint8, 2)
    page = band_files.pages(expected)
    assert tiff_bands.shape(page) == (11, 21, 2)
    marked = band_files.pages(expected, tiffinfo={254: 1})
    with pytest.raises(UnsupportedError, match="pages of different sizes"):
        tiff_bands.shape(marked)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (files.deep_tiff(np.ones((4, 4), np.uint16), photometric=0), "0 for white"),
        (band_files.tiff(np.ones((4, 4, 2), np.uint8), ">", big=True), "big-endian"),
        (band_files.pages(np.ones((4, 4, 2), np.float32)), "not unsigned numbers"),
        (band_files.pages(np.ones((4, 4, 70), np.uint8)), "more than 64 pages"),
    ],
)
def test_other_pixels_are_refused(contents, message):
    with pytest.raises(UnsupportedError, match=message):
        tiff_bands.read(contents)
