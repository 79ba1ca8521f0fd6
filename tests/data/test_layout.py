"""Which subfolders are splits, which are classes, and what is asked."""

import os

import pytest

from bt_keras.data.layout import find_layout
from bt_keras.errors import UsageError


def tree(root, *paths):
    """Folders with an empty file each that is named like an image."""
    for path in paths:
        (root / path).mkdir(parents=True)
        (root / path / "0.png").touch()
    return str(root)


def labeled(root, *splits):
    return tree(root, *(f"{split}/{name}" for split in splits for name in "ab"))


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid"),
        ("train", "test"),
        ("Train", "Test"),
        ("Training", "Testing"),
        ("TRAIN", "VAL"),
        ("train", "dev"),
        ("training", "eval"),
        ("training_set", "test_set"),
        ("train2017", "val2017"),
        ("Train images", "Validation images"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "archive", "archive/data"])
def test_names_of_splits(tmp_path, names, wrapper):
    labeled(tmp_path / wrapper, *names)
    (tmp_path / "README.md").touch()
    (tmp_path / "__MACOSX").mkdir()
    for split, name in zip(("train", "test"), names, strict=True):
        for asked in (split, name, name.upper()):
            found = find_layout(str(tmp_path), asked)
            assert found.root == str(tmp_path / wrapper / name)
            assert found.class_names == ("a", "b")
            assert found.splits == tuple(sorted(names))
    # Without one for validation, the held-out images are those for testing.
    assert find_layout(str(tmp_path), "validation").root.endswith(names[1])


def test_the_own_role_is_preferred(tmp_path):
    root = labeled(tmp_path, "train", "test", "valid")
    assert find_layout(root, "test").root.endswith("/test")
    assert find_layout(root, "validation").root.endswith("/valid")


def test_several_folders_for_a_split_are_listed(tmp_path):
    root = labeled(tmp_path, "train", "val", "valid")
    assert find_layout(root, "val").root.endswith("/val")
    for split in ("test", "validation"):
        with pytest.raises(UsageError, match=f"split '{split}': 'val', 'valid'"):
            find_layout(root, split)


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["train/a", "train/b", "train_extra/a"], "'train' holds folders ('a', 'b')"),
        (["Training/a", "Training/b", "holdout/a"], "and 'holdout' is not a split"),
        (["train/steam", "bus/red"], "'train' holds folders ('steam')"),
        (["seg_train/a", "seg_test/a"], "'seg_test' holds folders ('a')"),
        (["x/train/a", "x/train/b", "x/more/a"], "'train' holds folders"),
        (["bottle/train", "bottle/test", "nut/train"], "splits 'test', 'train'"),
        (["trainA", "trainB", "testA", "testB"], "is named like a split"),
    ],
)
def test_names_that_can_be_both_are_asked_for(tmp_path, paths, named):
    with pytest.raises(UsageError) as error:
        find_layout(tree(tmp_path, *paths))
    assert named in str(error.value)
    assert "config.data.layout=classes or config.data.layout=splits" in str(error.value)


def test_the_layout_decides(tmp_path):
    root = labeled(tmp_path, "seg_train", "seg_test", "seg_pred")
    found = find_layout(root, layout="classes")
    assert found.root == root
    assert found.class_names == ("seg_pred", "seg_test", "seg_train")
    for split in ("train", "test"):
        found = find_layout(root, split, layout="splits")
        assert found.root.endswith(f"/seg_{split}")
        assert found.class_names == ("a", "b")
    assert find_layout(root, "seg_pred", "splits").root.endswith("/seg_pred")


def test_classes_with_the_name_of_a_split(tmp_path):
    root = tree(tmp_path, "train", "bus", "test_tube")
    assert find_layout(root).class_names == ("bus", "test_tube", "train")


def test_images_next_to_labels(tmp_path):
    root = tree(tmp_path, "images/train", "images/val")
    (tmp_path / "labels" / "train").mkdir(parents=True)
    found = find_layout(root, "val")
    assert found.root.endswith("images/val")
    assert found.class_names is None


def test_other_folders_next_to_splits_are_told(tmp_path):
    root = labeled(tmp_path, "train", "test")
    tree(tmp_path / "other" / "x")
    (tmp_path / "labels").mkdir()
    tree(tmp_path / "more", "c")
    found = find_layout(root)
    assert found.class_names == ("a", "b")
    assert found.ignored == ("more",)


def test_a_name_that_is_not_utf8_is_escaped(tmp_path):
    root = labeled(tmp_path, "train", "test")
    os.rename(os.fsencode(f"{root}/train/a"), os.fsencode(root) + b"/train/\xe4")
    with pytest.raises(
        UsageError, match=r"train/\\udce4' has a name that is not UTF-8"
    ):
        find_layout(root)


def test_links_to_themselves(tmp_path):
    os.symlink(tmp_path, tmp_path / "again")
    assert find_layout(str(tmp_path)).class_names is None
