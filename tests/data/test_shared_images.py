"""Images that two splits have in common."""

import shutil

import numpy as np
import pytest
from PIL import Image

import bt_keras
from bt_keras.data import load
from bt_keras.data.shared_images import check_disjoint, num_shared


@pytest.fixture
def photos(tmp_path):
    """Two splits of BMP files, which have equal names and sizes."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        (tmp_path / split / "cat").mkdir(parents=True)
        for number in range(3):
            image = Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8))
            image.save(tmp_path / split / "cat" / f"{number}.bmp")
    return tmp_path


def shared(photos):
    """Counts the shared images and checks them; the error has its own count."""
    splits = load(str(photos), "val"), load(str(photos), "train")
    check_disjoint(*splits, lambda count: f"{count} are shared")
    return num_shared(*splits)


def test_files_of_equal_names_and_sizes_are_other_images(photos, caplog):
    assert shared(photos) == 0
    assert "copies" not in caplog.text


def test_copies_under_other_names_are_found(photos, caplog):
    for number in range(3):
        image = photos / "train" / "cat" / f"{number}.bmp"
        shutil.copy(image, photos / "val" / "cat" / f"{2 - number}.bmp")
    with pytest.raises(bt_keras.UsageError, match="3 are shared"):
        shared(photos)
    shutil.copy(image, photos / "val" / "cat" / "another.bmp")
    Image.new("RGB", (8, 8)).save(photos / "val" / "cat" / "0.bmp")
    assert shared(photos) == 3
    assert "3 of the 4 images of split 'val' are copies" in caplog.text


def test_parts_of_a_split_are_compared_by_position():
    train = load("shipped", "train[:90%]")
    assert num_shared(load("shipped", "train[8950:9100]"), train) == 50
    assert num_shared(load("shipped", "train[90%:]"), train) == 0
    assert num_shared(load("shipped", "train[:90%]"), train) == 9_000
