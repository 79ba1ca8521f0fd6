"""Images in remote folders give the same batches as on this machine."""

import os

import numpy as np
import pytest

import bt_keras
from bt_keras.data import load
from bt_keras.data.folder_index import check_file
from bt_keras.data.load import SHIPPED
from tests import remote, tiny


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tiny.write_images(tmp_path_factory.mktemp("images"), per_class=3)
    (folder / "train" / "notes.txt").write_text("left out")
    return str(folder), remote.upload(folder, folder.name)


def test_a_folder_of_images(folders):
    ours, theirs = (load(folder, "test") for folder in folders[::-1])
    for field in ("num_images", "image_shape", "class_names", "digest", "left_out"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert ours.splits == ("test", "train")
    for mine, other in zip(ours.dataset(), theirs.dataset(), strict=True):
        for value, expected in zip(mine, other, strict=True):
            np.testing.assert_array_equal(value, expected)


def test_pairs(folders):
    views = bt_keras.views(8, "small")
    ours, theirs = (bt_keras.pairs(folder, views, 6) for folder in folders)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_faults_are_named(folders):
    path = f"{folders[1]}/train/dark/99.png"
    assert check_file(path).problem == "cannot be opened (No such file or directory)"
    with pytest.raises(bt_keras.UsageError, match=r"no source of images 'ram://nowhe"):
        load("ram://nowhere/images")
    with pytest.raises(bt_keras.UsageError, match="no file system for none://"):
        load("none://bucket/images")
    path = remote.upload(os.path.dirname(SHIPPED), "shipped")
    with pytest.raises(bt_keras.UsageError, match=f"{path}/1.0.0' is a TFDS data set"):
        load(path)
    with pytest.raises(bt_keras.UsageError, match="has no split 'x'"):
        load(folders[1], "x")
