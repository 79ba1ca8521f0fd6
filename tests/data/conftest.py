"""Sources for each of the code paths of `pairs`."""

import pytest

from bt_keras.data import load
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
