import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from bt_keras import data
from bt_keras.data import source as source_module
from bt_keras.evaluation import label_subsets
from tests import tiny
from tests.evaluation.gray import gray_levels


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
def test_every_class_contributes_its_share(share, counts):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [20, 40, 100]))
    positions = label_subsets.balanced_subset(labels, share, seed=1)
    assert np.bincount(labels[positions]).tolist() == counts
    assert np.all(np.diff(positions) > 0)


def test_the_seed_chooses_the_images():
    labels = np.repeat([0, 1], 50)
    chosen = [label_subsets.balanced_subset(labels, 0.2, seed) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert not np.array_equal(chosen[0], chosen[2])


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "streamed"])
@pytest.mark.parametrize("name", ["folder", "shipped", "tf.data"])
def test_a_subset_has_the_images_at_its_positions(folder, name, in_memory, monkeypatch):
    if not in_memory:
        monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    sources = {"folder": str(folder), "shipped": "shipped"}
    source = gray_levels((9, 9, 9))
    if name in sources:
        source = data.load(sources[name], "test")
    positions = np.array([0, 2, 3, 17])
    subset = label_subsets.take_subset(source, positions)
    images, labels = pairs_of(source)
    subset_images, subset_labels = pairs_of(subset)
    assert subset.num_images == 4
    np.testing.assert_array_equal(subset_labels, labels[positions])
    for ours, position in zip(subset_images, positions, strict=True):
        np.testing.assert_array_equal(ours, images[position])

    def shuffled(seed, first=0):
        records = subset.records(tf.constant([0, seed]), first).map(subset.decode)
        return [image.tobytes() for image, _ in records.as_numpy_iterator()]

    orders = [shuffled(seed) for seed in range(3)]
    assert orders[1] == shuffled(1)
    assert orders[1][2:] == shuffled(1, first=2)
    assert len({tuple(order) for order in orders}) > 1
    for order in orders:
        assert sorted(order) == sorted(image.tobytes() for image in subset_images)


def test_labels_are_read_without_decoding_images():
    source = gray_levels((3, 3, 3))

    unreadable = dataclasses.replace(source, decode=None)
    labels = label_subsets.read_labels(unreadable)
    np.testing.assert_array_equal(labels, pairs_of(source)[1])
