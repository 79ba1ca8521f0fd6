"""Parts of the labels, and the batches of crops that are made of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bt_keras import data
from bt_keras.data import source as source_module
from bt_keras.evaluation import label_subsets, train_crops
from tests import tiny
from tests.evaluation.gray import grey_levels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("images"))


def pairs_of(source):
    images, labels = zip(*source.dataset().as_numpy_iterator(), strict=True)
    return list(images), np.array(labels)


@pytest.mark.parametrize(
    ("share", "counts"),
    [(0.01, [1, 1, 1]), (0.1, [2, 4, 10]), (0.5, [10, 20, 50]), (1.0, [20, 40, 100])],
)
def test_every_class_gives_its_share(share, counts):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [20, 40, 100]))
    positions = label_subsets.balanced_part(labels, share, seed=1)
    assert np.bincount(labels[positions]).tolist() == counts
    assert np.all(np.diff(positions) > 0)


def test_the_seed_chooses_the_images():
    labels = np.repeat([0, 1], 50)
    chosen = [label_subsets.balanced_part(labels, 0.2, seed) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert not np.array_equal(chosen[0], chosen[2])


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "streamed"])
@pytest.mark.parametrize("name", ["folder", "shipped", "tf.data"])
def test_a_part_has_the_images_at_its_positions(folder, name, kept, monkeypatch):
    if not kept:
        monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    sources = {"folder": str(folder), "shipped": "shipped"}
    source = grey_levels((9, 9, 9))
    if name in sources:
        source = data.load(sources[name], "test")
    positions = np.array([0, 2, 3, 17])
    part = label_subsets.part_of(source, positions)
    images, labels = pairs_of(source)
    part_images, part_labels = pairs_of(part)
    assert part.num_images == 4
    np.testing.assert_array_equal(part_labels, labels[positions])
    for ours, position in zip(part_images, positions, strict=True):
        np.testing.assert_array_equal(ours, images[position])

    def shuffled(seed, first=0):
        records = part.records(tf.constant([0, seed]), first).map(part.decode)
        return [image.tobytes() for image, _ in records.as_numpy_iterator()]

    orders = [shuffled(seed) for seed in range(3)]
    assert orders[1] == shuffled(1)
    assert orders[1][2:] == shuffled(1, first=2)
    assert len({tuple(order) for order in orders}) > 1
    for order in orders:
        assert sorted(order) == sorted(image.tobytes() for image in part_images)


def test_labels_are_read_without_decoding_images():
    source = grey_levels((3, 3, 3))

    unreadable = dataclasses.replace(source, decode=None)
    labels = label_subsets.read_labels(unreadable)
    np.testing.assert_array_equal(labels, pairs_of(source)[1])


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "streamed"])
def test_batches_are_full_and_epochs_whole(kept, monkeypatch):
    """Of 9 images in batches of 6, three batches are two epochs."""
    if not kept:
        monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    source = grey_levels((2, 3, 4))
    batches = list(train_crops.batches_of_crops(source, 5, 6, seed=0).take(6))
    for images, labels in batches:
        assert images.shape == (6, 5, 5, 3)
        assert labels.shape == (6,)
        # What is dark is labelled so: the crops have the levels of their images.
        levels = np.array(images).mean(axis=(1, 2, 3))
        assert np.corrcoef(levels, labels)[0, 1] > 0.9
    labels = np.concatenate([labels for _, labels in batches])
    for epoch in labels.reshape(4, 9):
        assert np.bincount(epoch).tolist() == [2, 3, 4]
    assert len({epoch.tobytes() for epoch in labels.reshape(4, 9)}) > 1
    again = list(train_crops.batches_of_crops(source, 5, 6, seed=0).take(6))
    np.testing.assert_array_equal(again[5][0], batches[5][0])
