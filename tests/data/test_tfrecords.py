"""Reading from any position of the order, without opening the files before it."""

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import load, pairs, shuffle
from bt_keras.data import source as source_module
from tests.data import files
from tests.data.plain import Plain

SEED = (1, 2)
# 96 images whose level is their number, two in each of 48 files. When shuffled, the
# files form three groups of two blocks.
IMAGES = np.full((96, 4, 4, 3), np.arange(96, dtype=np.uint8)[:, None, None, None])
BLOCK = 16


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(shuffle, "_BLOCK_BYTES", 0)
    monkeypatch.setattr(shuffle, "_BLOCK_RECORDS", BLOCK)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return files.write_tfds(tmp_path_factory.mktemp("tfds"), IMAGES, 48)


@pytest.fixture
def sharded(written, tmp_path):
    """A TFDS data set whose files may be deleted."""
    path = tmp_path / "sharded"
    path.mkdir()
    for file in written.iterdir():
        (path / file.name).hardlink_to(file)
    return path


def numbers(source, records):
    images = records.map(source.decode).map(lambda image, _: image[0, 0, 0])
    return [int(number) for number in images.as_numpy_iterator()]


def delete(path, shards):
    for shard in shards:
        (path / f"sharded-train.tfrecord-{shard:05}-of-00048").unlink()


@pytest.fixture(params=["tfds", "tfds subsplit", "folder", "stream"])
def any_source(request, sharded, tmp_path):
    if request.param == "folder":
        return load(files.write_many(tmp_path / "folder", 45, size=(6, 6)))
    if request.param == "stream":
        return load(tf.data.Dataset.from_tensor_slices(IMAGES[:45]))
    # The subsplit has 45 images, and only one of the two in its first file.
    return load(sharded, "train" if request.param == "tfds" else "train[7:52]")


@pytest.mark.parametrize("seed", [None, SEED])
def test_reading_from_every_position_gives_the_rest_of_the_order(any_source, seed):
    order = numbers(any_source, any_source.records(seed))
    assert len(set(order)) == len(order) == any_source.num_images
    assert (order == sorted(order)) == (seed is None)

    def rest(first):
        # The position is a symbolic tensor.
        return (
            any_source.records(seed, first)
            .batch(len(order))
            .map(lambda records: (first, tf.map_fn(decode_first, records, tf.uint8)))
        )

    def decode_first(record):
        return any_source.decode(record)[0][0, 0, 0]

    found = files.arrays(tf.data.Dataset.range(len(order)).flat_map(rest))
    assert [first for first, _ in found] == list(range(len(order)))
    for first, numbers_found in found:
        assert numbers_found.tolist() == order[first:]


def test_files_of_groups_before_the_position_are_not_opened(sharded):
    source = load(sharded)
    order = numbers(source, source.records(SEED))
    before = {number // 2 for number in order[:64]}
    assert len(before) == 32  # Two groups of files, four blocks of images.
    delete(sharded, before)
    for first in (64, 70, 79, 80, 95):
        assert numbers(source, source.records(SEED, first)) == order[first:]
    with pytest.raises(tf.errors.NotFoundError):
        numbers(source, source.records(SEED, 63))


def test_files_before_the_position_in_file_order_are_not_opened(sharded):
    source = load(sharded)
    delete(sharded, range(35))
    assert numbers(source, source.records(None, 71)) == list(range(71, 96))
    with pytest.raises(tf.errors.NotFoundError):
        numbers(source, source.records(None, 69))


@pytest.mark.parametrize("endless", [False, True])
def test_a_resumed_run_does_not_open_the_files_before(sharded, monkeypatch, endless):
    monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    source = load(sharded)
    expected = files.take(pairs(source, Plain(), 10, endless=True), 9)
    seed = tf.constant([0, 0], tf.int64)
    order = numbers(source, source.records(seed))
    delete(sharded, {number // 2 for number in order[:64]})
    rest = pairs(source, Plain(), 10, endless=endless, first_step=7)
    files.assert_equal(files.take(rest, 2), expected[7:])
