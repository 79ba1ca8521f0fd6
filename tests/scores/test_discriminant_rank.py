import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras.scores import lidar, rows
from tests.scores import constructed


def directly(embeddings, delta=1e-4):
    """The paper's equations, with the matrix Σ_w^(-1/2) Σ_b Σ_w^(-1/2)."""
    array = np.asarray(embeddings, "float64")
    _, _, width = array.shape
    means = array.mean(axis=1)
    between = np.cov(means.T, bias=True)
    within = np.zeros((width, width))
    for image, mean in zip(array, means, strict=True):
        within += (image - mean).T @ (image - mean) / image.shape[0] / len(array)
    values, vectors = np.linalg.eigh(within + delta * np.eye(width))
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    eigenvalues = np.maximum(np.linalg.eigvalsh(root @ between @ root), 0)
    shares = eigenvalues / eigenvalues.sum() + 1e-7
    return np.exp(-(shares * np.log(shares)).sum())


def views(images, noise, q=4, dtype="float64"):
    rng = np.random.default_rng(5)
    shape = (len(images), q, images.shape[1])
    return (images[:, np.newaxis] + noise * rng.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize(
    ("images", "width"), [(60, 7), (7, 60)], ids=["more images", "more columns"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block_bytes", [500, 2**24])
def test_it_equals_the_direct_computation(
    images, width, dtype, block_bytes, monkeypatch
):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(0)
    embeddings = views(3 + rng.normal(size=(images, width)), 0.5, dtype=dtype)
    assert lidar(embeddings) == pytest.approx(directly(embeddings), rel=1e-5)
    assert lidar(embeddings, 0.1) == pytest.approx(directly(embeddings, 0.1), rel=1e-5)


def test_constructed_embeddings():
    assert 22 < lidar(views(constructed.full_rank(), 0.1)) <= 24.01
    assert 3 < lidar(views(constructed.rank_5(), 0.01)) < 5.1
    for dtype in ("float32", "float64"):
        equal = constructed.collapsed(dtype).reshape(150, 4, -1)
        assert lidar(equal) == 0


def test_directions_in_which_the_views_of_an_image_differ_count_less():
    """Where RankMe counts all directions."""
    images = constructed.full_rank()
    noise = np.where(np.arange(24) < 12, 0.01, 3.0)
    assert lidar(views(images, noise)) < 13 < lidar(views(images, 0.01))


@pytest.mark.parametrize("shape", [(5, 4), (1, 5, 4), (5, 1, 4), (5, 4, 0)])
def test_other_arrays_are_errors(shape):
    with pytest.raises(UsageError, match="embeddings"):
        lidar(np.ones(shape))


def test_delta_must_be_positive():
    with pytest.raises(UsageError, match="delta=0"):
        lidar(np.ones((5, 4, 3)), 0)
