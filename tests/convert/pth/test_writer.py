"""Files written without PyTorch."""

import struct
import zipfile

import numpy as np
import pytest

import bt_keras
from bt_keras import convert

BASE = np.arange(24, dtype=np.float32).reshape(4, 6) / 8


def test_round_trip(tmp_path):
    tree = {
        "arrays": [BASE, BASE.T, BASE[0, 0:0], np.array(3), BASE.astype(">f8")],
        "types": {
            name: BASE.astype(name)
            for name in ("?", "f2", "f8", "i1", "i2", "i4", "i8", "u1")
        },
        "numbers": (1, -1, 2**31, -(2**100), 255, 0.1, -0.0, True, False, None),
        3: {"μ": "text"},
        "none": [[], {}, ()],
    }
    convert.save(tmp_path / "out.pth", tree)
    loaded = convert.load(tmp_path / "out.pth")
    assert loaded["numbers"] == tree["numbers"]
    assert loaded[3] == tree[3]
    assert loaded["none"] == tree["none"]
    for ours, theirs in zip(loaded["arrays"], tree["arrays"], strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.shape == theirs.shape
    for name, array in tree["types"].items():
        assert loaded["types"][name].dtype == array.dtype
        np.testing.assert_array_equal(loaded["types"][name], array)


def test_storages_are_aligned(tmp_path):
    """So that the file can be memory-mapped."""
    convert.save(tmp_path / "out.pth", {"a": BASE, "b": [BASE[0], BASE[1:]]})
    content = (tmp_path / "out.pth").read_bytes()
    for member in zipfile.ZipFile(tmp_path / "out.pth").infolist():
        lengths = struct.unpack_from("<HH", content, member.header_offset + 26)
        assert (member.header_offset + 30 + sum(lengths)) % 64 == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": {1, 2}}, "set"),
        ({"a": np.zeros(2, "complex64")}, "complex64"),
        ({"a": np.array(["text"])}, "str"),
        ({"a": 10**1000}, "bytes"),
    ],
)
def test_unsupported_values(value, message, tmp_path):
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.save(tmp_path / "out.pth", value)
    assert not list(tmp_path.iterdir())
