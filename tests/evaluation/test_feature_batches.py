import itertools

import numpy as np
import pytest

from bt_keras.evaluation import feature_batches
from bt_keras.evaluation.feature_batches import ordered_batches, shuffled_batches
from bt_keras.evaluation.features import Features
from bt_keras.files.npy_rows import RowsReader, RowsWriter

COUNT, CLASSES = 1003, 10


@pytest.fixture(params=["memory", "file"])
def sorted_split(request, tmp_path):
    """Rows that are sorted by class; the first column is the number of the row."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(COUNT, 4)).astype("f4")
    features[:, 0] = np.arange(COUNT)
    labels = np.arange(COUNT) * CLASSES // COUNT
    if request.param == "memory":
        return Features(features, labels)
    path = tmp_path / "features.npy"
    with RowsWriter(path, features.shape, features.dtype) as writer:
        writer.append(features)
    reader = RowsReader(path, features.shape, features.dtype)
    return Features(np.load(path, mmap_mode="r"), labels, reader)


@pytest.fixture
def in_pools(monkeypatch):
    """Features do not fit in memory: chunks of 4 rows, pools of 50 chunks."""
    monkeypatch.setattr(feature_batches, "WHOLE_BYTES", 0)
    monkeypatch.setattr(feature_batches, "_CHUNK_BYTES", 4 * 4 * 4)
    monkeypatch.setattr(feature_batches, "_POOL_BYTES", 4 * 4 * 4 * 50)


def epochs(split, count=2, batch_size=64, seed=0):
    """Returns the (features, labels) of some epochs as lists of batches."""
    made = shuffled_batches(split, split.moments, batch_size, seed)
    batches = made.as_numpy_iterator()
    steps = -(-COUNT // batch_size)
    return [list(itertools.islice(batches, steps)) for _ in range(count)]


def check_epochs(split, found):
    """Every epoch has every row once, standardized, with its label."""
    exact = split.features.astype("f8")
    expected = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    orders = []
    for batches in found:
        assert {len(labels) for _, labels in batches[:-1]} == {64}
        features, labels = map(np.concatenate, zip(*batches, strict=True))
        order = np.argsort(features[:, 0])
        np.testing.assert_allclose(features[order], expected, atol=1e-4)
        np.testing.assert_array_equal(labels[order], split.labels)
        orders.append(order)
    assert (orders[0] != orders[1]).mean() > 0.9


def test_features_in_memory(sorted_split):
    check_epochs(sorted_split, epochs(sorted_split))


def test_features_that_do_not_fit(sorted_split, in_pools):
    found = epochs(sorted_split)
    check_epochs(sorted_split, found)
    again, other = epochs(sorted_split), epochs(sorted_split, seed=1)
    for (features, _), (same, _), (different, _) in zip(
        found[0], again[0], other[0], strict=True
    ):
        np.testing.assert_array_equal(features, same)
        assert (features != different).any()


def test_batches_of_sorted_classes_are_mixed(sorted_split, in_pools):
    """A batch of neighboring images would have one or two classes."""
    for batches in epochs(sorted_split):
        for _, labels in batches[:-1]:
            counts = np.bincount(labels, minlength=CLASSES)
            # Of a random batch: 6.4 with a deviation of 2.4.
            assert counts.min() >= 1
            assert counts.max() <= 6.4 + 5 * 2.4


def test_ordered_batches(sorted_split, in_pools, monkeypatch):
    monkeypatch.setattr(feature_batches, "_TEST_BATCH", 100)
    made = ordered_batches(sorted_split, sorted_split.moments)
    assert made.cardinality() == 11
    streamed = list(made)
    monkeypatch.setattr(feature_batches, "WHOLE_BYTES", 2**30)
    whole = list(ordered_batches(sorted_split, sorted_split.moments))
    assert len(streamed) == len(whole) == 11
    for (features, labels), (expected, expected_labels) in zip(
        streamed, whole, strict=True
    ):
        np.testing.assert_array_equal(features, expected)
        np.testing.assert_array_equal(labels, expected_labels)
