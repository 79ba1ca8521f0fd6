import numpy as np
import pytest

from bt_keras.evaluation.features import Features
from bt_keras.files.npy_rows import RowsReader


@pytest.fixture(params=["memory", "file"])
def make(request, tmp_path):
    """A function from an array to `Features`, in memory or in a file."""

    def features(array):
        labels = np.arange(len(array))
        if request.param == "memory":
            return Features(array, labels)
        path = tmp_path / "features.npy"
        np.save(path, array)
        mapped = np.load(path, mmap_mode="r")
        return Features(mapped, labels, RowsReader(path, array.shape, array.dtype))

    return features


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("rows", [1, 4, 5, 10, 11, None])
def test_blocks_are_the_rows_in_order(make, dtype, rows):
    array = np.random.default_rng(0).normal(size=(10, 3)).astype(dtype)
    blocks = list(make(array).blocks(rows))
    assert all(block.dtype == np.float32 for block in blocks)
    assert [len(b) for b in blocks[:-1]] == [rows] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks), array)


def test_moments_are_those_of_numpy(make, monkeypatch):
    """The mean is far from 0: sums of float32, or differences of squares, lose it."""
    monkeypatch.setattr("bt_keras.evaluation.features._BLOCK_BYTES", 4 * 8 * 100)
    rng = np.random.default_rng(0)
    array = (rng.normal(size=(1234, 8)) * 1e-2 + 1e3).astype("f4")
    mean, deviation = make(array).moments
    exact = array.astype("f8")
    np.testing.assert_allclose(mean, exact.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(deviation, exact.std(axis=0), rtol=1e-9)
