import sys
import types

import pytest

import bt_keras
from bt_keras import data


def test_an_import_that_failed_is_reported(monkeypatch):
    """tensorflow-datasets becomes an empty module if its protobuf is too old."""
    empty = types.ModuleType("tensorflow_datasets")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", empty)
    for name in [name for name in sys.modules if name.startswith(empty.__name__ + ".")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(bt_keras.UsageError, match="cannot be imported") as raised:
        data.load("shipped")
    assert "reinstall the requirements" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
