"""Missing and damaged files of data sets in TFDS format."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import data
from bt_keras.data import faults, load
from bt_keras.data import source as source_lib
from bt_keras.data.load import SHIPPED
from bt_keras.errors import UsageError

# More files than a group of `read_examples` has, and an empty one.
_LENGTHS = (3, 5, 0, *(4 for _ in range(18)))
_SHARD = "shards-train.tfrecord-{:05d}-of-{:05d}"


@pytest.fixture
def shards(tmp_path):
    """`shards(name)` is a folder with the first shipped images in 21 files."""
    folder = tmp_path / "shards"
    folder.mkdir()
    shipped = sorted(name for name in os.listdir(SHIPPED) if "train" in name)
    records = iter(tf.data.TFRecordDataset(os.path.join(SHIPPED, shipped[0])))
    for number, length in enumerate(_LENGTHS):
        path = folder / _SHARD.format(number, len(_LENGTHS))
        with tf.io.TFRecordWriter(str(path)) as file:
            for _ in range(length):
                file.write(next(records).numpy())
    for name in ("features.json", "label.labels.txt"):
        shutil.copy(os.path.join(SHIPPED, name), folder)
    with open(os.path.join(SHIPPED, "dataset_info.json"), encoding="utf-8") as file:
        info = json.load(file)
    train = next(split for split in info["splits"] if split["name"] == "train")
    train["shardLengths"] = [str(length) for length in _LENGTHS]
    info = {**info, "name": "shards", "splits": [train]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def shard(folder, number):
    return folder / _SHARD.format(number, len(_LENGTHS))


def write_records(path, change, number):
    """Writes a file again with one record changed, or left out if it is None."""
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    records[number] = change(records[number])
    with tf.io.TFRecordWriter(str(path)) as file:
        for record in records:
            if record is not None:
                file.write(record)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-9])


def flip(path):
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 0x55
    path.write_bytes(contents)


def leave_one_out(path):
    write_records(path, lambda record: None, -1)


def break_an_image(path):
    def change(record):
        example = tf.train.Example.FromString(record)
        example.features.feature["image"].bytes_list.value[0] = b"\x89PNG no image"
        return example.SerializeToString()

    write_records(path, change, 1)


def resize_an_image(path):
    def change(record):
        example = tf.train.Example.FromString(record)
        png = tf.io.encode_png(np.zeros((9, 28, 1), np.uint8)).numpy()
        example.features.feature["image"].bytes_list.value[0] = png
        return example.SerializeToString()

    write_records(path, change, 1)


def take_a_feature_away(path):
    def change(record):
        example = tf.train.Example.FromString(record)
        del example.features.feature["image"]
        return example.SerializeToString()

    write_records(path, change, 1)


DAMAGES = {
    truncate: "is truncated or corrupt after record 3",
    flip: "is truncated or corrupt after record",
    leave_one_out: "has 3 records, not the 4 that dataset_info.json lists",
    break_an_image: "in record 2, the image is a truncated or corrupt PNG file",
    resize_an_image: "in record 2, the image has another shape than in features.json",
    take_a_feature_away: "in record 2, there are not the features of features.json",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(shards, damage):
    path = shard(shards, 9)
    damage(path)
    source = load(str(shards))
    with pytest.raises(UsageError) as error:
        source.images  # noqa: B018 - It reads all files.
    assert (
        f"{str(path)!r} {'is damaged: ' if 'in record' in DAMAGES[damage] else ''}"
        in str(error.value)
    )
    assert DAMAGES[damage] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_found_in_the_order_of_an_epoch(shards, damage, monkeypatch):
    monkeypatch.setattr(source_lib, "IN_MEMORY_BYTES", 0)
    path = shard(shards, 9)
    source = load(str(shards))
    damage(path)
    finished = []
    with pytest.raises(tf.errors.OpError) as raised:
        finished.extend(data.pairs(source, bt_keras.views(8, "small"), 4))
    steps = source.steps_per_epoch(4)
    error = faults.in_batches(
        source.find_fault, steps, 4, 0, raised.value, len(finished)
    )
    assert str(path) in str(error)
    assert DAMAGES[damage] in str(error)


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def shorten(path):
    path.write_bytes(path.read_bytes()[:60])


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


MISSING = {
    remove: "is missing, although dataset_info.json lists it",
    empty: "is truncated: it has 0 bytes, too few for the 4 records",
    shorten: "is truncated: it has 60 bytes, too few for the 4 records",
    replace_by_folder: "is a folder instead of a file",
}


@pytest.mark.parametrize("damage", MISSING)
def test_a_missing_file_is_named_at_the_start(shards, damage):
    path = shard(shards, 9)
    damage(path)
    with pytest.raises(UsageError) as error:
        load(str(shards))
    assert f"{str(path)!r} {MISSING[damage]}" in str(error.value)


@pytest.mark.parametrize("damage", MISSING)
def test_a_missing_file_is_named_later(shards, damage):
    source = load(str(shards))
    path = shard(shards, 9)
    damage(path)
    with pytest.raises(UsageError, match=path.name):
        source.images  # noqa: B018 - It reads all files.


def test_the_digest_is_that_of_moved_files(shards, tmp_path):
    before = load(str(shards))
    moved = load(str(shutil.copytree(shards, tmp_path / "moved")))
    assert moved.digest == before.digest
    assert load(str(shards), "train[:8]").digest != before.digest
    break_an_image(shard(shards, 9))
    assert load(str(shards)).digest != before.digest


INFO = {
    "empty": "",
    "half": '{"name": "shards", "splits": [{"na',
    "list": "[]",
    "no splits": '{"name": "shards", "version": "1.0.0"}',
    "lengths": '{"name": "shards", "version": "1.0.0", "splits": [{"name": "train", '
    '"shardLengths": ["many"]}]}',
}


@pytest.mark.parametrize("content", INFO.values(), ids=INFO)
def test_a_damaged_dataset_info_is_named(shards, content):
    (shards / "dataset_info.json").write_text(content)
    with pytest.raises(UsageError) as error:
        load(str(shards))
    assert str(shards) in str(error.value)
    assert "dataset_info.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"type": "no.Such"}'])
def test_damaged_features_are_named(shards, content):
    (shards / "features.json").write_text(content)
    with pytest.raises(UsageError) as error:
        load(str(shards))
    assert str(shards) in str(error.value)
    assert "features.json" in str(error.value)
    assert "\n" not in str(error.value)
