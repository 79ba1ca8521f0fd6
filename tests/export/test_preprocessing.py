import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bt_keras.export import preprocessing
from tests.data.files import deep_png
from tests.exported import photographs


def encoded(image, kind):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, quality=90)
    return file.getvalue()


def by_pillow(contents, size, ratio):
    """torchvision's Resize and CenterCrop, on Pillow."""
    with Image.open(io.BytesIO(contents)) as image:
        image = image.convert("RGB")
    short = round(size * ratio)
    sides = [short * side // min(image.size) for side in image.size]
    resized = np.asarray(image.resize(sides, Image.Resampling.BILINEAR), "int32")
    top, left = (round((side - size) / 2) for side in resized.shape[:2])
    return resized[top : top + size, left : left + size]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(("size", "ratio"), [(24, 256 / 224), (64, 1.0)])
def test_decode_differs_from_pillow_by_at_most_one_level(kind, size, ratio):
    wide, high = photographs(1, 96)[0][:50], photographs(1, 96)[0][:, :61]
    files = [encoded(image, kind) for image in (wide, high)]
    ours = 255 * preprocessing.decode(tf.constant(files), size, ratio)
    for image, contents in zip(ours, files, strict=True):
        difference = np.abs(image - by_pillow(contents, size, ratio))
        assert difference.max() <= 1.01
        assert difference.mean() < 0.25


def test_images_of_twelve_bits_are_scaled_as_in_training():
    levels = np.random.default_rng(0).integers(0, 4096, (8, 8)).astype(np.uint16)
    files = tf.constant([deep_png(levels)])
    ours = 255 * preprocessing.decode(files, 8, 1.0, bits=12)
    np.testing.assert_allclose(ours[0, ..., 1], levels // 16, atol=1e-4)


def test_other_formats_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError):
        preprocessing.decode(tf.constant([b"not an image"]), 8, 1.0)


def test_levels_are_normalized_as_in_training():
    levels = photographs(1)
    ours = preprocessing.normalize(preprocessing.from_uint8(levels))
    mean = np.array([0.485, 0.456, 0.406])
    expected = (levels / 255 - mean) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(ours, expected, atol=1e-6)
