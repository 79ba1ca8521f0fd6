"""Decoding of files written by Pillow, compared with Pillow."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bt_keras.data.decode import (
    check_image,
    decode_image,
    decode_jpeg_or_png,
    largest_value,
)
from tests.data import files


@pytest.mark.parametrize("kind", files.KINDS)
def test_decodes_what_pillow_decodes(tmp_path, kind):
    path = files.write(tmp_path / kind)
    decoded = tf.function(decode_image)(tf.constant(path.read_bytes())).numpy()
    expected = files.pillow(path)
    assert decoded.dtype == np.uint8
    assert decoded.shape == expected.shape
    tolerance = 2 if kind.lower().endswith(("jpg", "jpeg")) else 0
    np.testing.assert_allclose(
        decoded.astype(int), expected.astype(int), atol=tolerance
    )


def test_sixteen_bit_gray_keeps_its_high_byte():
    levels = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    decoded = decode_image(tf.constant(file.getvalue()))
    np.testing.assert_array_equal(decoded[..., 0], levels >> 8)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("bits", [8, 9, 12, 15, 16])
def test_png_values_of_more_than_eight_bits_are_scaled(shape, bits):
    levels = np.random.default_rng(bits).integers(0, 2**bits, shape).astype(np.uint16)
    levels.flat[:2] = 0, 2**bits - 1
    contents = files.deep_png(levels)
    expected = (levels // 2 ** (bits - 8)).reshape(5, 7, -1)
    for decode in (decode_image, decode_jpeg_or_png):
        decoded = tf.function(decode)(tf.constant(contents), bits).numpy()
        np.testing.assert_array_equal(decoded, np.broadcast_to(expected, (5, 7, 3)))
    assert largest_value(contents) == 2**bits - 1


def test_values_above_the_bits_are_an_error():
    contents = files.deep_png(np.full((4, 4), 4096, np.uint16))
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than the 12 bits"):
        decode_image(tf.constant(contents), 12)


@pytest.mark.parametrize("kind", ["rgb.jpeg", "rgb.PNG", "rgb.bmp", "palette.tif"])
def test_bits_do_not_change_images_of_eight_bits(tmp_path, kind):
    contents = files.write(tmp_path / kind).read_bytes()
    decoded = decode_image(tf.constant(contents), 12)
    np.testing.assert_array_equal(decoded, decode_image(tf.constant(contents)))
    assert largest_value(contents) == 0


def header_of_jpeg(contents, position, value):
    """Changes bytes of the frame header, which holds precision, height and width."""
    start = contents.index(b"\xff\xc0") + position
    return contents[:start] + value + contents[start + len(value) :]


def header_of_png(contents, height, width):
    header = b"IHDR" + struct.pack(">II", width, height) + contents[24:29]
    return (
        contents[:12] + header + struct.pack(">I", zlib.crc32(header)) + contents[33:]
    )


def test_images_that_are_too_large_are_not_called_corrupt(tmp_path):
    jpeg = files.write(tmp_path / "rgb.jpeg").read_bytes()
    png = files.write(tmp_path / "rgb.PNG").read_bytes()
    bmp = files.write(tmp_path / "rgb.bmp").read_bytes()
    large = {
        "13500 x 13500": header_of_jpeg(jpeg, 5, struct.pack(">HH", 13500, 13500)),
        "30000 x 20000": header_of_png(png, 20000, 30000),
        "20000 x 10000": bmp[:18] + struct.pack("<II", 20000, 10000) + bmp[26:],
    }
    for pixels, contents in large.items():
        size, problem = check_image(contents)
        assert size is None
        assert problem.startswith(f"has {pixels} pixels, which is too large")


def test_jpeg_files_of_twelve_bits_are_not_called_corrupt(tmp_path):
    contents = files.write(tmp_path / "rgb.jpeg").read_bytes()
    size, problem = check_image(header_of_jpeg(contents, 4, b"\x0c"))
    assert size is None
    assert "JPEG file of a kind that is not supported" in problem
    assert "12-bit" in problem


def test_the_file_name_does_not_matter(tmp_path):
    path = files.write(tmp_path / "really_a_png.jpg", "rgb.PNG")
    np.testing.assert_array_equal(
        decode_image(tf.constant(path.read_bytes())), files.pillow(path)
    )


@pytest.mark.parametrize("kind", files.KINDS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.8])
def test_truncated_files_are_detected(tmp_path, kind, kept):
    contents = files.write(tmp_path / kind, height=60, width=80).read_bytes()
    # An animation is readable if its first frame is.
    kept = kept / 4 if kind.startswith(("animated", "pages")) else kept
    size, wrong = check_image(contents[: int(len(contents) * kept)])
    assert size is None
    assert "truncated or corrupt" in wrong


def test_a_jpeg_file_without_its_last_two_bytes_is_detected(tmp_path):
    contents = files.write(tmp_path / "rgb.jpeg").read_bytes()
    assert check_image(contents[:-2])[0] is None


@pytest.mark.parametrize(
    ("contents", "wrong"),
    [
        (b"", "is empty"),
        (b"not an image", "not a JPEG, PNG, BMP, GIF, WebP, TIFF or .npy file"),
        (
            b"RIFF\x24\0\0\0WAVEfmt ",
            "not a JPEG, PNG, BMP, GIF, WebP, TIFF or .npy file",
        ),
    ],
)
def test_files_that_are_not_images_are_described(contents, wrong):
    size, found = check_image(contents)
    assert size is None
    assert wrong in found


@pytest.mark.parametrize("kind", files.KINDS)
def test_readable_files_have_a_size(tmp_path, kind):
    contents = files.write(tmp_path / kind, height=7, width=9).read_bytes()
    assert check_image(contents) == ((7, 9), None)


@pytest.mark.parametrize("kind", ["rgb.jpeg", "cmyk.JPG", "rgba.png", "palette.png"])
def test_the_decoder_without_python_decodes_the_same(tmp_path, kind):
    contents = tf.constant(files.write(tmp_path / kind).read_bytes())
    expected = decode_image(contents)
    np.testing.assert_array_equal(decode_jpeg_or_png(contents), expected)
