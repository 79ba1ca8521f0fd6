"""TIFF files of more than 8 bits, and pixels that have no 8-bit RGB values."""

import io

import numpy as np
import pytest
from PIL import Image

from bt_keras.data import pillow_image
from bt_keras.data.decode import check_image
from tests.data import files


def random_levels(shape, bits=16):
    levels = np.random.default_rng(0).integers(0, 2**bits, shape).astype(np.uint16)
    levels.flat[:2] = 0, 2**bits - 1
    return levels


def tiff(image, **arguments):
    file = io.BytesIO()
    image.save(file, "TIFF", **arguments)
    return file.getvalue()


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)], ids=["gray", "rgb"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_both_bytes_of_tiff_files_are_read(shape, order, packed, bits):
    levels = random_levels(shape, bits)
    contents = files.deep_tiff(levels, order, packed)
    expected = (levels // 2 ** (bits - 8)).reshape(5, 7, -1)
    decoded = pillow_image.decode(contents, bits)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, np.broadcast_to(expected, (5, 7, 3)))
    assert pillow_image.largest_value(contents) == 2**bits - 1
    assert check_image(contents) == ((5, 7), None)


def test_the_high_bytes_are_those_of_pillow():
    contents = files.deep_tiff(random_levels((5, 7, 3)))
    expected = np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))
    np.testing.assert_array_equal(pillow_image.decode(contents, 16), expected)


def test_compressed_gray_images_that_pillow_writes():
    levels = random_levels((5, 7), 12)
    contents = tiff(Image.fromarray(levels), compression="tiff_lzw")
    decoded = pillow_image.decode(contents, 12)
    np.testing.assert_array_equal(decoded[..., 2], levels // 16)


def test_where_white_is_zero_values_are_inverted():
    levels = random_levels((5, 7), 12)
    contents = files.deep_tiff(levels, photometric=0)
    decoded = pillow_image.decode(contents, 12)
    np.testing.assert_array_equal(decoded[..., 0], (4095 - levels) // 16)


def test_values_above_the_bits_are_refused():
    contents = files.deep_tiff(np.full((4, 4), 4096, np.uint16))
    with pytest.raises(pillow_image.UnsupportedError, match=r"value 4096, .* 12 bits"):
        pillow_image.decode(contents, 12)


def test_large_images_are_converted_in_strips(monkeypatch):
    monkeypatch.setattr(pillow_image, "_STRIP_PIXELS", 100)
    for mode in ("L", "P", "RGBA", "CMYK"):
        image = files.picture().convert(mode)
        decoded = pillow_image.decode(tiff(image), 16)
        np.testing.assert_array_equal(decoded, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    ("contents", "part"),
    [
        (lambda: tiff(Image.fromarray(np.ones((4, 4), np.float32))), "mode 'F'"),
        (lambda: tiff(Image.fromarray(np.ones((4, 4), np.int32))), "mode 'I'"),
        (lambda: tiff(Image.new("LAB", (4, 4))), "mode 'LAB'"),
        (lambda: files.deep_tiff(random_levels((5, 7, 4)), photometric=5), "CMYK;16"),
        (lambda: files.deep_tiff(random_levels((5, 7, 3)), planar=2), "16-bit pixels"),
        (lambda: files.deep_tiff(random_levels((5, 7, 2))), "unknown pixel mode"),
    ],
    ids=["float", "int32", "lab", "cmyk", "planar", "gray with alpha"],
)
def test_other_pixels_are_named(contents, part):
    size, problem = check_image(contents())
    assert size is None
    assert part in problem
    assert "convert it" in problem
    assert "corrupt" not in problem
