import sys
import tracemalloc

import numpy as np
import pytest

import bt_keras
from bt_keras.evaluation import feature_files
from bt_keras.evaluation.feature_files import FeatureTable, write

parquet = pytest.importorskip("pyarrow.parquet")

NAMES = ["a/1.png", "b/two.png", "b/é.png"]


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(3, 5)).astype("float32")


def table(labels=True):
    given = {"labels": np.array([1, 0, 0]), "class_names": ("cat", "dog")}
    return FeatureTable(5, NAMES, **(given if labels else {}))


def test_a_npz_file(tmp_path, features):
    path = tmp_path / "features.npz"
    write(path, table(), [features[:2], features[2:]])
    arrays = dict(np.load(path))
    assert sorted(arrays) == ["class_names", "features", "file_names", "labels"]
    np.testing.assert_array_equal(arrays["features"], features)
    assert arrays["features"].dtype == np.float32
    assert arrays["file_names"].tolist() == NAMES
    assert arrays["class_names"][arrays["labels"]].tolist() == ["dog", "cat", "cat"]


def test_a_parquet_file(tmp_path, features):
    path = tmp_path / "features.parquet"
    write(path, table(), [features[:2], features[2:]])
    rows = parquet.read_table(path).to_pylist()
    assert [row["file_name"] for row in rows] == NAMES
    assert [row["label"] for row in rows] == [1, 0, 0]
    assert [row["class_name"] for row in rows] == ["dog", "cat", "cat"]
    np.testing.assert_array_equal([row["feature"] for row in rows], features)


@pytest.mark.parametrize("suffix", feature_files.SUFFIXES)
def test_images_without_labels(tmp_path, features, suffix):
    path = tmp_path / f"features{suffix}"
    write(path, table(labels=False), [features])
    if suffix == ".npz":
        assert sorted(np.load(path)) == ["features", "file_names"]
    else:
        assert parquet.read_table(path).column_names == ["file_name", "feature"]


@pytest.mark.parametrize("suffix", feature_files.SUFFIXES)
def test_memory_does_not_grow_with_the_number_of_images(tmp_path, suffix):
    """128 MB of features are written with a few blocks of 8 MB."""
    count, dimension = 64 * 1024, 512
    names = ["a.png"] * count
    blocks = (np.full((256, dimension), i, "float32") for i in range(count // 256))
    path = tmp_path / f"features{suffix}"
    tracemalloc.start()
    write(path, FeatureTable(dimension, names), blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6
    if suffix == ".npz":
        assert path.stat().st_size > 128e6
        last = np.load(path)["features"][-1]
    else:
        file = parquet.ParquetFile(path)
        assert (file.metadata.num_rows, file.num_row_groups) == (count, 16)
        last = file.read_row_group(15)["feature"][-1].as_py()
    np.testing.assert_array_equal(last, np.full(dimension, 255.0))


def test_paths_are_checked(tmp_path, monkeypatch):
    assert feature_files.check_path(tmp_path / "f.parquet").suffix == ".parquet"
    (tmp_path / "f.npz").touch()
    with pytest.raises(bt_keras.UsageError, match="exists already"):
        feature_files.check_path(tmp_path / "f.npz")
    with pytest.raises(bt_keras.UsageError, match=r"must end in .npz or .parquet"):
        feature_files.check_path(tmp_path / "f.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(bt_keras.UsageError, match=r"needs pyarrow.*pip install"):
        feature_files.check_path(tmp_path / "f.parquet")
