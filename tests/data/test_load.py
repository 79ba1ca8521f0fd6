"""Names of sources, data sets in TFDS format, and a user's own tf.data."""

import gzip
import pathlib
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import Source, from_dataset, load
from bt_keras.data.load import SHIPPED
from bt_keras.data.shipped import make
from bt_keras.data.shuffle import shuffle_blocks
from bt_keras.errors import UsageError
from tests.data import files


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture(scope="module")
def small_tfds(tmp_path_factory):
    """A data set as make.py writes it: 40 and 8 images, with what is in them."""
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


def test_shipped_images():
    for split, count in [("train", 10_000), ("test", 2_000)]:
        source = load("shipped", split)
        assert (source.name, source.split) == ("shipped", split)
        assert source.num_images == count
        assert source.image_shape == (28, 28, 3)
        assert source.class_names[9] == "Ankle boot"
    images, labels = next(iter(source.dataset().batch(2_000)))
    assert images.dtype == tf.uint8
    assert images.shape == (2_000, 28, 28, 3)
    # The original test images have 1,000 of each class among 10,000.
    counts = np.bincount(labels, minlength=10)
    assert counts.min() > 150
    assert labels.numpy()[:5].tolist() == [9, 2, 1, 1, 6]


def test_shipped_files_hold_no_path_and_are_small():
    found = list(pathlib.Path(SHIPPED).iterdir())
    assert sum(path.stat().st_size for path in found) < 8e6
    for path in found:
        if path.suffix in {".json", ".txt"}:
            assert not re.search(r"/(tmp|home|work|root)/", path.read_text())


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
    # The order is also known to a seed that is only known while running.
    seeds = tf.data.Dataset.from_tensors(tf.constant([1, 2], tf.int64))
    traced = [bytes(r["image"].numpy()) for r in seeds.flat_map(source.records)]
    assert traced == order((1, 2))


def test_streams_too_large_for_memory_are_shuffled_in_blocks():
    def read(first):
        return tf.data.Dataset.range(first, 2_500).map(lambda i: {"number": i})

    def order(seed):
        # Records of 1 GiB: three blocks, of 1,000, 1,000 and 500.
        shuffled = shuffle_blocks(read, 2_500, 2**30, seed)
        return [int(record["number"]) for record in shuffled]

    found = order((1, 2))
    assert found == order((1, 2))
    assert found != order((1, 3))
    blocks = np.split(np.array(found), [1_000, 2_000])
    for block, start in zip(blocks, [0, 1_000, 2_000], strict=True):
        assert sorted(block) == list(range(start, start + len(block)))
    assert (blocks[0] != blocks[1] - 1_000).any()


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shiped", "near names: 'shipped'"),
        ("cifar10", "near names: 'tfds:cifar10'"),
        ("tfds:cifr10", "near names: 'tfds:cifar10'"),
        ("tfds:cifar10/nothing", "cannot be used: .*BuilderConfig nothing not found"),
        ("/nonexistent/images", "no source of images '/nonexistent/images'"),
        (7, "not int"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(UsageError, match=message) as error:
        load(name)
    assert "\n" not in str(error.value)


def test_near_paths_are_named(tmp_path):
    (tmp_path / "photographs").mkdir()
    with pytest.raises(UsageError, match=r"near names: '.*/photographs'"):
        load(tmp_path / "photograph")


@pytest.mark.parametrize("split", ["validation", "train[:x]"])
def test_unknown_splits_of_tfds(split):
    with pytest.raises(UsageError, match="it has train, test") as error:
        load("shipped", split)
    assert "\n" not in str(error.value)


def test_a_file_is_not_a_folder(tmp_path):
    with pytest.raises(UsageError, match="is a file"):
        load(files.write(tmp_path / "rgb.bmp"))


def test_labels_asked_for_where_there_are_none(tmp_path):
    source = load(files.write_many(tmp_path / "flat", 2))
    with pytest.raises(UsageError, match=r"linear evaluation needs labels, but .*flat"):
        source.require_labels("linear evaluation")
    assert load("shipped").require_labels("linear evaluation") is None


IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3), np.uint8)


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("names", [None, ["a", "b"]])
def test_users_dataset(batch, names):
    labels = np.arange(10, dtype=np.int32) % 2
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    source = from_dataset(dataset.batch(batch) if batch else dataset, names)
    assert isinstance(source, Source)
    assert source.num_images == 10
    assert source.image_shape == (6, 5, 3)
    assert source.num_classes == (2 if names else None)
    found = files.arrays(source.dataset())
    np.testing.assert_array_equal([image for image, _ in found], IMAGES)
    expected = labels if names else np.full(10, -1)
    np.testing.assert_array_equal([label for _, label in found], expected)


def test_users_dataset_of_images_alone():
    source = load(tf.data.Dataset.from_tensor_slices(IMAGES))
    shuffled, again = (
        [record["image"] for record in files.arrays(source.records((3, 4)))]
        for _ in range(2)
    )
    np.testing.assert_array_equal(shuffled, again)
    assert not np.array_equal(shuffled, IMAGES)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (IMAGES.astype(np.float32), "not images"),
        (IMAGES[..., 0], "not images"),
        (IMAGES[..., :1], "not images"),
        ({"image": IMAGES}, "not images"),
        (IMAGES[:0], "empty"),
    ],
)
def test_datasets_of_no_images_are_refused(elements, message):
    with pytest.raises(UsageError, match=message):
        from_dataset(tf.data.Dataset.from_tensor_slices(elements))


def test_endless_datasets_are_refused():
    with pytest.raises(UsageError, match="never ends"):
        from_dataset(tf.data.Dataset.from_tensor_slices(IMAGES).repeat())
