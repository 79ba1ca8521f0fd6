import dataclasses

import numpy as np
import pytest

import bt_keras
from bt_keras.evaluation.label_subsets import read_labels
from bt_keras.evaluation.labeled_splits import hold_out, open_labeled
from tests.evaluation.gray import gray_levels


def identities(source):
    """Returns the contents of all images as a set."""
    return {image.numpy().tobytes() for image, _ in source.dataset()}


@pytest.mark.parametrize(
    ("counts", "share", "held_out"),
    [
        ((10, 20, 40), 0.2, (2, 4, 8)),
        ((2, 3, 40), 0.01, (1, 1, 1)),
        ((1, 2, 2), 0.99, (0, 1, 1)),
    ],
)
def test_every_class_contributes_its_share(counts, share, held_out):
    source = gray_levels(counts)
    train, test = hold_out(source, share, seed=0)
    found = np.bincount(read_labels(test), minlength=3)
    np.testing.assert_array_equal(found, held_out)
    assert train.num_images + test.num_images == sum(counts)
    assert identities(train) | identities(test) == identities(source)
    assert not identities(train) & identities(test)


def test_the_seed_chooses_the_images():
    def chosen(seed):
        return identities(hold_out(gray_levels((10, 10, 10)), 0.2, seed)[1])

    assert chosen(0) == chosen(0) != chosen(1)


def with_splits(source, split, **fields):
    splits = ("test", "train")
    return dataclasses.replace(source, split=split, splits=splits, **fields)


def open_two(train, test, **options):
    sources = {"train": with_splits(train, "train"), "test": with_splits(test, "test")}
    return open_labeled(sources.__getitem__, "train", **options)


def test_a_split_for_testing_is_taken_unless_a_share_is_given():
    images = gray_levels((9, 9, 9)), gray_levels((3, 3, 3), seed=1)
    train, test = open_two(*images)
    assert (train.num_images, test.num_images) == (27, 9)
    assert open_two(*images, test_split="test")[1].num_images == 9
    train, test = open_two(*images, held_out=1 / 3)
    assert (train.num_images, test.num_images) == (18, 9)
    assert test.split == "train, held out"
    train, test = open_labeled({"train": images[0]}.__getitem__, "train")
    assert (train.num_images, test.num_images) == (21, 6)


def test_classes_that_are_not_tested_are_named(caplog):
    hold_out(gray_levels((1, 4, 4)), 0.2, seed=0)
    assert "1 of the 3 classes" in caplog.text
    assert "does not include them ('dark')" in caplog.text


def test_images_that_do_not_fit_are_refused():
    three, two = gray_levels((9, 9, 9)), gray_levels((9, 9, 0))
    other = dataclasses.replace(two, class_names=("dark", "gray"))
    with pytest.raises(bt_keras.UsageError, match=r"do not fit: 3 \(.*\) and 2 \("):
        open_two(three, other)
    with pytest.raises(bt_keras.UsageError, match=r"no images of 1 of the 3 .*'light'"):
        open_two(two, three)
    with pytest.raises(bt_keras.UsageError, match="one image of each class"):
        hold_out(gray_levels((1, 1, 1)), 0.5, seed=0)
    with pytest.raises(bt_keras.UsageError, match=r"'train' .* are training images"):
        open_two(three, three, test_split="train")
    one = dataclasses.replace(three, class_names=("dark",))
    with pytest.raises(bt_keras.UsageError, match=r"two classes.*'dark'"):
        open_two(one, one)
    unlabeled = dataclasses.replace(three, class_names=None)
    with pytest.raises(bt_keras.UsageError, match="classifier needs labels"):
        open_two(unlabeled, unlabeled)
