"""Data sets in TFDS format."""

import gzip
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import load
from bt_keras.data.shipped import make
from bt_keras.errors import UsageError
from tests.data import files


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture(scope="module")
def small_tfds(tmp_path_factory):
    """A data set written by make.py, 40 and 8 images, and its images and labels."""
    rng = np.random.default_rng(0)
    idx, out = tmp_path_factory.mktemp("idx"), tmp_path_factory.mktemp("out")
    written = {}
    for split, prefix, count in [("train", "train", 40), ("test", "t10k", 8)]:
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        labels = rng.integers(0, 10, count, np.uint8)
        write_idx(idx / f"{prefix}-images-idx3-ubyte.gz", images)
        write_idx(idx / f"{prefix}-labels-idx1-ubyte.gz", labels)
        written[split] = images, labels
    make.make(str(idx), str(out), {"train": ("train", 40), "test": ("t10k", 8)})
    return out / "fashion_mnist_12k", written


@pytest.mark.parametrize("below", ["", "1.0.0"])
def test_tfds_directory(small_tfds, below):
    path, written = small_tfds
    for split, (images, labels) in written.items():
        found = files.arrays(load(path / below, split).dataset())
        assert len(found) == len(images)
        for (image, label), expected, number in zip(found, images, labels, strict=True):
            np.testing.assert_array_equal(image, np.repeat(expected[..., None], 3, -1))
            assert label == number


def test_tfds_subsplits(small_tfds):
    path, (images, _) = small_tfds[0], small_tfds[1]["train"]
    source = load(path, "train[10%:30%]")
    assert source.num_images == 8
    found = [image[..., 0] for image, _ in files.arrays(source.dataset())]
    np.testing.assert_array_equal(found, images[4:12])
    shuffled = files.arrays(source.records((0, 1)).map(source.decode))
    assert {image.tobytes() for image, _ in shuffled} == {
        np.repeat(image[..., None], 3, -1).tobytes() for image in images[4:12]
    }


def test_tfds_order_is_a_function_of_the_seed(small_tfds):
    source = load(small_tfds[0])

    def order(seed):
        return [bytes(record["image"].numpy()) for record in source.records(seed)]

    assert order((1, 2)) == order((1, 2))
    assert order((1, 2)) != order((1, 3))
    assert sorted(order((1, 2))) == sorted(order(None))
    # The seed may be a symbolic tensor.
    seeds = tf.data.Dataset.from_tensors(tf.constant([1, 2], tf.int64))
    traced = [bytes(r["image"].numpy()) for r in seeds.flat_map(source.records)]
    assert traced == order((1, 2))


def test_tfds_versions_must_be_named(small_tfds, tmp_path):
    for version in ["1.0.0", "1.0.1"]:
        shutil.copytree(small_tfds[0] / "1.0.0", tmp_path / version)
    with pytest.raises(UsageError, match="several versions"):
        load(tmp_path)


def test_tfds_without_images_names_its_features(tmp_path):
    import tensorflow_datasets as tfds

    tfds.dataset_builders.store_as_tfds_dataset(
        name="words",
        version="1.0.0",
        features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
        split_datasets={"train": [(0, {"text": "word"})]},
        data_dir=str(tmp_path),
    )
    with pytest.raises(UsageError, match="features are text"):
        load(tmp_path / "words")


@pytest.mark.parametrize("split", ["validation", "train[:x]"])
def test_unknown_splits_of_tfds(split):
    with pytest.raises(UsageError, match="it has train, test") as error:
        load("shipped", split)
    assert "\n" not in str(error.value)
