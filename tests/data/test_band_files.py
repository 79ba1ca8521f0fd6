"""Images of any number of bands in NumPy's, TIFF and PNG files, and as gray."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bt_keras.data import band_files as library
from bt_keras.data import load
from bt_keras.data.decode import (
    check_image,
    decode_image,
    decode_jpeg_or_png,
    largest_value,
)
from bt_keras.errors import UsageError
from tests.data import band_files, files

RNG = np.random.default_rng(0)
FIVE = RNG.integers(0, 256, (6, 7, 5), np.uint8)
DEEP = RNG.integers(0, 2**12, (6, 7, 5)).astype(np.uint16)


def jpeg():
    file = io.BytesIO()
    files.picture().save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("write", [files.npy, band_files.pages, band_files.tiff])
def test_five_bands_of_eight_and_of_more_bits(write):
    decoded = tf.function(decode_image)(tf.constant(write(FIVE)), channels=5)
    assert decoded.shape == (6, 7, 5)
    np.testing.assert_array_equal(decoded, FIVE)
    assert check_image(write(FIVE), 5) == ((6, 7), None)
    contents = write(DEEP)
    np.testing.assert_array_equal(decode_image(tf.constant(contents), 12, 5), DEEP >> 4)
    assert largest_value(contents, 5) == DEEP.max()
    assert check_image(contents, 4)[1].startswith("has 5 bands, not 4 as config.data")


@pytest.mark.parametrize("kind", ["gray_alpha.png", "rgba.png"])
def test_alpha_is_a_band_if_told_to(tmp_path, kind):
    contents = files.write(tmp_path / kind).read_bytes()
    expected = np.asarray(Image.open(io.BytesIO(contents)))
    decoded = decode_image(tf.constant(contents), channels=expected.shape[-1])
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("kind", files.KINDS)
def test_files_of_any_kind_as_gray(tmp_path, kind):
    contents = files.write(tmp_path / kind).read_bytes()
    if kind == "pages.tif":
        assert check_image(contents, 1)[1].startswith("has 2 pages, not 1")
        return
    expected = np.asarray(Image.fromarray(files.pillow(tmp_path / kind)).convert("L"))
    decoded = decode_image(tf.constant(contents), channels=1).numpy()
    tolerance = 2 if kind.lower().endswith(("jpg", "jpeg")) else 0
    difference = decoded[..., 0].astype(int) - expected
    assert np.abs(difference).max() <= tolerance
    if "Python" not in kind and kind.endswith(("png", "PNG", "jpg", "jpeg", "JPG")):
        same = decode_jpeg_or_png(tf.constant(contents), channels=1)
        np.testing.assert_array_equal(same, decoded)


@pytest.mark.parametrize("order", ["<", ">"])
def test_gray_arrays(order):
    gray = DEEP[..., 0].astype(f"{order}u2")
    for array in (gray, gray[..., None]):
        contents = tf.constant(files.npy(array))
        one, three = (decode_image(contents, 12, channels) for channels in (1, 3))
        np.testing.assert_array_equal(one[..., 0], gray >> 4)
        np.testing.assert_array_equal(three, np.repeat(one, 3, axis=-1))


@pytest.mark.parametrize(
    ("contents", "channels", "message"),
    [
        (files.npy(FIVE), 3, "has 5 bands, not 3"),
        (files.npy(FIVE[..., :3]), 1, "has 3 bands, not 1"),
        (files.npy(FIVE.astype(np.float32)), 5, "type float32: save them as uint8"),
        (files.npy(np.zeros((5, 32, 32), np.uint8)), 5, r"np.moveaxis(array, 0, -1)"),
        (files.npy(FIVE[0, 0]), 5, "has the shape (5,), not that of an image"),
        (files.npy(FIVE[:0]), 5, "has the shape (0, 7, 5), not that of an image"),
        (files.npy(FIVE)[:-9], 5, "is a truncated or corrupt NumPy file"),
        (files.npy(np.array([None])), 5, "is a truncated or corrupt NumPy file"),
        (band_files.tiff(FIVE)[:90], 5, "is a truncated or corrupt TIFF file"),
        (files.png(4, 4), 5, "has 3 bands, not 5"),
        (jpeg(), 5, "is not a .npy, TIFF or PNG file"),
    ],
    ids=range(11),
)
def test_other_files_are_described(contents, channels, message):
    size, problem = check_image(contents, channels)
    assert size is None
    assert message in problem


def test_a_folder_of_arrays(tmp_path):
    for number in range(4):
        (tmp_path / "ab"[number % 2]).mkdir(exist_ok=True)
        np.save(tmp_path / "ab"[number % 2] / f"{number}.npy", FIVE + number)
    source = load(tmp_path, channels=5)
    assert (source.image_shape, source.class_names) == ((6, 7, 5), ("a", "b"))
    np.testing.assert_array_equal(source.images[1], FIVE + 2)
    with pytest.raises(UsageError, match=r"has 5 bands, not 4 as config\.data\.chan"):
        load(tmp_path, channels=4)
    # Next to images of another format, arrays are left out.
    files.write_many(tmp_path / "a", 2)
    source = load(tmp_path)
    assert (source.num_images, source.left_out) == (2, {".npy": 4})
    assert source.class_names == ("a",)


def test_pages_that_are_not_read_are_told(tmp_path, caplog):
    (tmp_path / "a.tif").write_bytes(band_files.pages(FIVE))
    load(tmp_path, channels=5)
    assert not caplog.text
    assert load(tmp_path).image_shape == (6, 7, 3)
    assert "'a.tif'" in caplog.text
    assert "has 5 pages, of which only the first is read, as RGB" in caplog.text
    with pytest.raises(UsageError, match="has 5 pages, not 1"):
        load(tmp_path, channels=1)


def test_largest_value_of_eight_bits_is_not_asked_for():
    assert library.largest_value(files.npy(FIVE)) == 0


def test_bands_of_tfds_data_sets():
    assert load("shipped", "test[:4]", channels=1).images.shape == (4, 28, 28, 1)
    with pytest.raises(UsageError, match=r"images \(H, W, 1\), not \(H, W, 5\)"):
        load("shipped", "test", channels=5)
