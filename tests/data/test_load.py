"""Names of sources, and the shipped images."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import load
from bt_keras.data.load import SHIPPED
from bt_keras.errors import UsageError
from tests.data import files


def test_shipped_images():
    for split, count in [("train", 10_000), ("test", 2_000)]:
        source = load("shipped", split)
        assert (source.name, source.split) == ("shipped", split)
        assert source.num_images == count
        assert source.image_shape == (28, 28, 3)
        assert source.class_names[9] == "Ankle boot"
    images, labels = next(iter(source.dataset().batch(2_000)))
    assert images.dtype == tf.uint8
    assert images.shape == (2_000, 28, 28, 3)
    # The original test images have 1,000 of each class among 10,000.
    counts = np.bincount(labels, minlength=10)
    assert counts.min() > 150
    assert labels.numpy()[:5].tolist() == [9, 2, 1, 1, 6]


def test_shipped_files_are_small_and_contain_no_local_path():
    found = list(pathlib.Path(SHIPPED).iterdir())
    assert sum(path.stat().st_size for path in found) < 8e6
    for path in found:
        if path.suffix in {".json", ".txt"}:
            assert not re.search(r"/(tmp|home|work|root)/", path.read_text())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shiped", "did you mean 'shipped'"),
        ("cifar10", "did you mean 'tfds:cifar10'"),
        ("tfds:cifr10", "did you mean 'tfds:cifar10'"),
        ("tfds:cifar10/nothing", "cannot be used: .*BuilderConfig nothing not found"),
        ("/nonexistent/images", "no source of images '/nonexistent/images'"),
        (7, "is a int"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(UsageError, match=message) as error:
        load(name)
    assert "\n" not in str(error.value)


def test_similar_paths_are_named(tmp_path):
    (tmp_path / "photographs").mkdir()
    with pytest.raises(UsageError, match=r"did you mean '.*/photographs'"):
        load(tmp_path / "photograph")


def test_a_file_instead_of_a_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is a file"):
        load(files.write(tmp_path / "rgb.bmp"))
