import numpy as np
import pytest

from bt_keras.scores import rows
from bt_keras.scores.spectrum import eigenvalues, entropy_rank


@pytest.mark.parametrize("shape", [(50, 7), (7, 50), (20, 20)])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("block_bytes", [200, 2**24])
def test_they_are_squares_of_singular_values(shape, centered, block_bytes, monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", block_bytes)
    values = np.random.default_rng(0).normal(2, 1, shape).astype("float32")
    matrix = values.astype("float64")
    if centered:
        matrix = matrix - matrix.mean(axis=0)
    expected = np.linalg.svd(matrix, compute_uv=False) ** 2
    ours = eigenvalues(values, centered)
    np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-10)


def test_a_file_is_read_in_blocks(tmp_path, monkeypatch):
    values = np.random.default_rng(0).normal(size=(64, 5)).astype("float16")
    np.save(tmp_path / "rows.npy", values)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    sizes = []
    asarray = np.asarray

    def record(array, *arguments):
        if isinstance(array, np.memmap):
            sizes.append(len(array))
        return asarray(array, *arguments)

    monkeypatch.setattr(rows, "_BLOCK_BYTES", 400)
    monkeypatch.setattr(rows.np, "asarray", record)
    ours = eigenvalues(mapped)
    monkeypatch.undo()
    assert sizes == [10] * 6 + [4]
    np.testing.assert_allclose(ours, eigenvalues(values.astype("float64")), rtol=1e-12)


def test_entropy_rank():
    assert entropy_rank(np.ones(7), 1e-7) == pytest.approx(7, rel=1e-4)
    assert entropy_rank(np.array([1.0, 0, 0]), 1e-7) == pytest.approx(1, rel=1e-4)
    assert entropy_rank(np.zeros(3), 1e-7) == 0
