"""Folders of image files: layouts, labels, splits, corrupt files."""

import errno
import os

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import load
from bt_keras.errors import UsageError
from tests.data import files


def labels(source):
    return [int(label) for _, label in source.dataset()]


def test_flat_folder_of_all_kinds_in_the_order_of_names(tmp_path):
    for kind in files.KINDS:
        files.write(tmp_path / kind)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    source = load(str(tmp_path))
    assert source.num_images == len(files.KINDS)
    assert source.image_shape == (24, 31, 3)
    assert source.class_names is None
    assert source.num_classes is None
    assert set(labels(source)) == {-1}
    for (image, _), name in zip(source.dataset(), sorted(files.KINDS), strict=True):
        expected = files.pillow(tmp_path / name).astype(int)
        np.testing.assert_allclose(image.numpy().astype(int), expected, atol=2)


def test_class_folders(tmp_path):
    files.write_many(tmp_path / "cat", 2)
    files.write_many(tmp_path / "ant" / "nested" / "deep", 3)
    (tmp_path / "empty").mkdir()
    source = load(tmp_path)
    assert source.class_names == ("ant", "cat")
    assert source.num_classes == 2
    assert labels(source) == [0, 0, 0, 1, 1]
    assert source.image_shape == (None, None, 3)
    assert source.smallest_side == 10
    assert source.dataset().cardinality() == 5


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    files.write_many(tmp_path / "elsewhere", 2)
    root = tmp_path / "root"
    (root / "ant").mkdir(parents=True)
    os.symlink(tmp_path / "elsewhere", root / "bee")
    os.symlink(root / "ant", root / "ant" / "loop")
    files.write_many(root / "ant", 1)
    assert labels(load(root)) == [0, 1, 1]


def test_splits_share_their_class_numbers(tmp_path):
    files.write_many(tmp_path / "train" / "bee", 2)
    files.write_many(tmp_path / "train" / "cat", 2)
    files.write_many(tmp_path / "val" / "ant", 1)
    files.write_many(tmp_path / "val" / "cat", 1)
    files.write_many(tmp_path / "unlabeled", 4)
    assert labels(load(tmp_path)) == [1, 1, 2, 2]
    assert labels(load(tmp_path, "val")) == [0, 2]
    assert load(tmp_path, "val").class_names == ("ant", "bee", "cat")
    assert load(tmp_path, "unlabeled").class_names is None
    assert labels(load(tmp_path, "test")) == [0, 2]
    assert load(tmp_path, "test").describe() == (
        f"2 images of 3 classes: split 'test' of '{tmp_path}' "
        f"(splits: train, unlabeled, val), read from '{tmp_path}/val'"
    )
    with pytest.raises(UsageError, match="no split 'extra': it has 'train', 'unlab"):
        load(tmp_path, "extra")


def test_a_class_named_train_is_not_a_split(tmp_path):
    files.write_many(tmp_path / "bus", 1)
    files.write_many(tmp_path / "train", 1)
    assert load(tmp_path).class_names == ("bus", "train")


@pytest.mark.parametrize("split", ["test", "train[:10%]"])
def test_a_folder_without_splits_has_only_train(tmp_path, split):
    files.write_many(tmp_path, 2)
    with pytest.raises(UsageError, match="has the split 'train' only"):
        load(tmp_path, split)


def test_images_at_the_top_and_in_subfolders_are_refused(tmp_path):
    files.write_many(tmp_path, 1)
    files.write_many(tmp_path / "cat", 1)
    with pytest.raises(UsageError, match="both at the top and in subfolders"):
        load(tmp_path)


def test_a_class_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        files.write(tmp_path / name / "rgb.PNG")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("dog"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # Root may read every folder.
    with pytest.raises(UsageError, match=r"cannot be read: .*dog"):
        load(tmp_path)


def test_empty_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UsageError, match="has no images"):
        load(tmp_path)


def corrupt(folder):
    """Three corrupt files among four readable ones."""
    files.write_many(folder, 4)
    truncated = files.write(folder / "a_truncated.jpg", "rgb.jpeg")
    truncated.write_bytes(truncated.read_bytes()[:-40])
    (folder / "b_empty.png").write_bytes(b"")
    (folder / "c_text.jpg").write_text("a page that was saved as an image")
    return folder


def test_corrupt_files_are_named(tmp_path):
    with pytest.raises(UsageError) as error:
        load(corrupt(tmp_path / "images"))
    message = str(error.value)
    assert "\n" not in message
    assert "'a_truncated.jpg'" in message
    assert "truncated or corrupt JPEG file, and 2 more files" in message
    assert "--config.data.skip_corrupt=True" in message


def test_corrupt_files_are_skipped_and_counted_on_request(tmp_path, caplog):
    source = load(corrupt(tmp_path / "images"), skip_corrupt=True)
    assert source.num_images == 4
    assert source.num_skipped == 3
    assert len(files.arrays(source.dataset())) == 4
    assert "Left out 3 of the 7 files" in caplog.text


def test_folder_with_only_corrupt_files_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(
        UsageError, match=r"no readable image \('text.png' is not a JPEG"
    ):
        load(tmp_path, skip_corrupt=True)


def test_order_is_a_function_of_the_seed(tmp_path):
    source = load(files.write_many(tmp_path / "images", 9))

    def order(seed):
        return [bytes(record["path"].numpy()) for record in source.records(seed)]

    assert order((1, 2)) == order((1, 2))
    assert order((1, 2)) != order((1, 3))
    assert sorted(order((1, 2))) == order(None)


def test_files_left_out_are_counted_by_kind(tmp_path, caplog):
    files.write_many(tmp_path / "ant", 2)
    files.write_many(tmp_path / "bee", 1)
    for name in ("a.heic", "b.HEIC", "notes.txt", "none", ".hidden"):
        (tmp_path / "ant" / name).touch()
    os.mkfifo(tmp_path / "bee" / "fifo.png")
    os.symlink("nowhere", tmp_path / "bee" / "gone")
    os.symlink(os.devnull, tmp_path / "bee" / "null.png")
    source = load(tmp_path)
    assert source.num_images == 3
    assert source.left_out == {
        ".heic": 2,
        ".txt": 1,
        "without extension": 1,
        "FIFO": 1,
        "broken link": 1,
        "device": 1,
    }
    assert source.describe() == (
        f"3 images of 2 classes: split 'train' of '{tmp_path}'; left out: 2 .heic, "
        + ", ".join(f"1 {kind}" for kind in list(source.left_out)[1:])
    )
    (warning,) = caplog.messages
    assert "2 .heic" in warning
    assert "'ant/a.heic'" in warning
    assert ".txt" not in warning


def test_classes_without_a_readable_image_are_named(tmp_path, caplog):
    files.write_many(tmp_path / "ant", 1)
    (tmp_path / "bee").mkdir()
    (tmp_path / "bee" / "x.heic").touch()
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "x.png").touch()
    source = load(tmp_path, skip_corrupt=True)
    assert source.class_names == ("ant", "cat")
    assert "No readable image of classes 'bee', 'cat'" in caplog.text


def test_one_class_is_enough_only_where_labels_are_not_needed(tmp_path, caplog):
    files.write_many(tmp_path / "photos", 2)
    source = load(tmp_path)
    assert source.class_names == ("photos",)
    assert not caplog.text
    with pytest.raises(UsageError, match=r"at least two classes.*'photos'"):
        source.require_labels("evaluation")


def test_folders_that_may_be_splits_are_told(tmp_path, caplog):
    for split in ("trn", "tst"):
        for name in ("cat", "dog"):
            files.write_many(tmp_path / split / name, 2)
    assert load(tmp_path).class_names == ("trn", "tst")
    assert "'trn' and 'tst'" in caplog.text or "'trn', 'tst'" in caplog.text
    assert "config.data.layout=splits" in caplog.text
    caplog.clear()
    assert load(tmp_path, "trn", layout="splits").class_names == ("cat", "dog")
    assert load(tmp_path, layout="classes").class_names == ("trn", "tst")
    assert not caplog.messages


def test_file_names_that_are_not_utf8_are_told(tmp_path, caplog):
    files.write_many(tmp_path, 2)
    os.rename(tmp_path / "000.png", os.fsencode(tmp_path) + b"/\xe4%s\n.png")
    assert load(tmp_path).num_images == 2
    (warning,) = caplog.messages
    assert warning.startswith("Names in")
    assert r"'\udce4%s\n.png'" in warning


@pytest.mark.parametrize("write", [files.deep_png, files.deep_tiff])
def test_images_of_twelve_bits(tmp_path, caplog, write):
    levels = np.random.default_rng(0).integers(0, 4096, (3, 6, 5)).astype(np.uint16)
    levels[2, 3, 4] = 4095
    for number, image in enumerate(levels):
        (tmp_path / f"{number}.tif").write_bytes(write(image))
    np.testing.assert_array_equal(load(tmp_path).images[..., 0], levels // 256)
    assert "largest value is 4095" in caplog.text
    assert "give config.data.bits=12" in caplog.text
    caplog.clear()
    source = load(tmp_path, bits=12)  # The index of the first start serves again.
    np.testing.assert_array_equal(source.images[..., 0], levels // 16)
    assert not caplog.messages
    with pytest.raises(UsageError, match=r"'2.tif' in .* 4095, .*config.data.bits=12"):
        load(tmp_path, bits=11)
    (tmp_path / "2.tif").write_bytes(write(levels[2] * 2))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"2.tif' has the value"):
        files.arrays(source.dataset())


def test_the_upper_half_of_sixteen_bits(tmp_path, caplog):
    (tmp_path / "0.png").write_bytes(files.deep_png(np.full((4, 4), 2**15, np.uint16)))
    assert load(tmp_path).images.numpy().max() == 128
    assert not caplog.messages


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 17}, "bits=17 must be"),
        ({"bits": 12.0}, "bits=12.0 must be"),
        ({"layout": "tree"}, "layout='tree' is not one of auto, classes, splits"),
    ],
)
def test_other_arguments_are_refused(tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, **arguments)
