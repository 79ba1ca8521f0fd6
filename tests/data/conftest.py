"""Sources for each of the code paths of `pairs`, and checked folders."""

import pytest

from bt_keras.data import decode, folder_index, load
from bt_keras.data import source as source_module
from tests.data import files
from tests.data.plain import in_memory


@pytest.fixture(params=["memory", "folder", "mixed folder", "stream"])
def source(request, tmp_path, monkeypatch):
    """Ten images, in each of the ways that `pairs` reads them."""
    if request.param == "mixed folder":
        return load(files.write_many(tmp_path / "mixed", 10))
    if request.param != "memory":
        monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    if request.param == "folder":
        return load(files.write_many(tmp_path / "equal", 10, size=(9, 7)))
    return in_memory()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder."""
    path = tmp_path / "cache"
    monkeypatch.setenv("BT_KERAS_CACHE", str(path))
    return path


@pytest.fixture
def checked(monkeypatch):
    """The sizes of all files that are decoded to check them."""
    seen = []

    def check(contents, channels):
        seen.append(len(contents))
        return decode.check_image(contents, channels)

    monkeypatch.setattr(folder_index, "check_image", check)
    return seen


@pytest.fixture
def images(tmp_path):
    return files.write_many(tmp_path / "images", 5)
