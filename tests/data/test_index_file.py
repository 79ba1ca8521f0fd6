"""The stored results of checked files: damage, other folders, no cache folder."""

import errno

import filelock
import numpy as np
import pytest

from bt_keras.data import index_file, load
from tests.data import files
from tests.data.files import index_path

pytestmark = pytest.mark.usefixtures("cache")


def damage_byte(path):
    """Changes one byte in the table of numbers."""
    contents = bytearray(path.read_bytes())
    position = contents.index(b"columns.npy") + 200
    contents[position] ^= 1
    path.write_bytes(contents)


def other_format(path):
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "format": index_file.FORMAT + 1})


@pytest.mark.parametrize(
    "damage",
    [
        damage_byte,
        other_format,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not an index"),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: np.savez(path, other=np.zeros(3)),
        lambda path: np.savez(path, format=np.array([{}], object)),
        lambda path: path.write_bytes(files.npy(np.zeros(3))),
    ],
    ids=["byte", "format", "empty", "text", "truncated", "keys", "pickle", "array"],
)
def test_a_damaged_index_is_rebuilt(images, checked, cache, damage):
    load(images)
    damage(index_path(cache))
    for _ in range(2):
        assert load(images).num_images == 5
    assert len(checked) == 10


def test_the_index_of_another_folder_is_not_used(images, checked, cache, tmp_path):
    load(images)
    index = index_path(cache).read_bytes()
    images.rename(tmp_path / "moved")
    load(tmp_path / "moved")
    for path in (cache / "folders").glob("*.npz"):
        path.write_bytes(index)
    load(tmp_path / "moved")
    assert len(checked) == 15


def test_a_cache_that_is_a_file_is_not_used(images, checked, cache):
    cache.write_text("a file")
    for _ in range(2):
        assert load(images).num_images == 5
    assert len(checked) == 10
    assert cache.read_text() == "a file"


def test_a_cache_that_cannot_be_written_is_not_used(
    images, checked, cache, monkeypatch
):
    def refuse(*arguments, **named):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(index_file.os, "replace", refuse)
    monkeypatch.setattr(index_file.Path, "mkdir", refuse)
    for _ in range(2):
        assert load(images).num_images == 5
    assert len(checked) == 10
    assert not cache.exists()


def test_without_locks_two_processes_do_not_damage_the_index(
    images, checked, cache, monkeypatch
):
    def refuse(*arguments, **named):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    load(images)
    path = index_path(cache)
    index = index_file.read(path, str(images))
    # The other process began before this one had written anything.
    index_file.write(path, str(images), dict(list(index.items())[:2]))
    load(images)
    assert len(checked) == 8
    assert index_file.read(path, str(images)) == index
