"""Decoding of files written by Pillow, compared with Pillow."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bt_keras.data.decode import check_image, decode_image, decode_jpeg_or_png
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
    kept = kept / 4 if kind == "animated.gif" else kept
    size, wrong = check_image(contents[: int(len(contents) * kept)])
    assert size is None
    assert "truncated or corrupt" in wrong


def test_a_jpeg_file_without_its_last_two_bytes_is_detected(tmp_path):
    contents = files.write(tmp_path / "rgb.jpeg").read_bytes()
    assert check_image(contents[:-2])[0] is None


@pytest.mark.parametrize(
    ("contents", "wrong"),
    [(b"", "is empty"), (b"not an image", "not a JPEG, PNG, BMP or GIF")],
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
