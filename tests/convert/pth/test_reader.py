"""PyTorch's files: those that it wrote, damaged ones, and those written here."""

import pickle
import struct
import zipfile

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from bt_keras.convert.pth import writer
from tests.conftest import REFERENCE
from tests.convert.archives import archive

BASE = np.arange(24, dtype=np.float32).reshape(4, 6) / 8
FILES = ("tensors.pth", "tensors_stream.pth")


@pytest.mark.parametrize("name", FILES)
def test_all_that_pytorch_writes_is_read(name):
    tree = convert.load(REFERENCE / name)
    for dtype, array in tree["types"].items():
        expected = BASE.astype("float32" if dtype == "bfloat16" else dtype)
        np.testing.assert_array_equal(array, expected, err_msg=dtype)
        assert array.dtype == expected.dtype
    for part, expected in {
        "whole": BASE,
        "transposed": BASE.T,
        "part": BASE[1:3, 1::2],
        "expanded": np.zeros((3, 2)),
        "scalar": np.array(7),
        "empty": np.zeros((0, 3)),
        "parameter": BASE[0],
    }.items():
        np.testing.assert_array_equal(tree[part], expected, err_msg=part)
        assert tree[part].shape == expected.shape
    plain = [1, -(2**40), 0.5, "text", None, True, (1, 2), (3, 4)]
    assert tree["plain"] == plain
    assert [type(v) for v in tree["plain"]] == [type(v) for v in plain]
    assert list(tree["state_dict"])[-1] == "num_batches_tracked"


@pytest.mark.parametrize("name", FILES)
def test_tensors_of_one_storage_share_it_and_are_read_only(name):
    tree = convert.load(REFERENCE / name)
    assert np.shares_memory(tree["whole"], tree["part"])
    with pytest.raises(ValueError, match="read-only"):
        tree["whole"][0, 0] = 1


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_named(name, tmp_path):
    content = (REFERENCE / name).read_bytes()
    path = tmp_path / "cut.pth"
    lengths = {0, 1, 3, 4, 14, 100, len(content) - 1}
    for length in sorted(lengths | set(range(200, len(content), 331))):
        path.write_bytes(content[:length])
        with pytest.raises(bt_keras.UsageError, match=r"cut\.pth is ") as error:
            convert.load(path)
        assert "\n" not in str(error.value)


def test_changed_numbers_are_noticed(tmp_path):
    content = bytearray((REFERENCE / "tensors.pth").read_bytes())
    content[content.index(BASE.tobytes()) + 5] ^= 1
    (tmp_path / "changed.pth").write_bytes(content)
    with pytest.raises(bt_keras.UsageError, match="damaged"):
        convert.load(tmp_path / "changed.pth")


def tensor_program(shape, strides, offset=0, count=24, key="0", kind="FloatStorage"):
    """The pickle of one float32 tensor anywhere in its storage."""
    ints = [b"".join(map(writer._int, numbers)) for numbers in (shape, strides)]
    return b"".join(
        (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((",
            writer._str("storage"),
            f"ctorch\n{kind}\n".encode(),
            *(writer._str(text) for text in (key, "cpu")),
            writer._int(count) + b"tQ" + writer._int(offset),
            b"(" + ints[0] + b"t(" + ints[1] + b"t",
            b"\x89NtR.",
        )
    )


@pytest.mark.parametrize(
    "place",
    [
        {"shape": (4, 6), "strides": (6, 1), "offset": 1},
        {"shape": (25,), "strides": (1,)},
        {"shape": (2,), "strides": (24,)},
        {"shape": (2, 2), "strides": (2**62, 1)},
        {"shape": (4,), "strides": (-1,)},
        {"shape": (-4,), "strides": (1,)},
        {"shape": (4,), "strides": (1,), "offset": -1},
        {"shape": (4,), "strides": (1, 1)},
        {"shape": (4,), "strides": (1,), "count": 2**62},
        {"shape": (4,), "strides": (1,), "count": -1},
        {"shape": (2**62, 2**62), "strides": (0, 0)},
        {"shape": (1,) * 100, "strides": (1,) * 100},
        {"shape": (4,), "strides": (1,), "key": "../data.pkl"},
        {"shape": (4,), "strides": (1,), "key": "7"},
    ],
)
def test_no_tensor_reaches_out_of_its_storage(place, tmp_path):
    path = archive(tmp_path / "bad.pth", tensor_program(**place), [BASE.tobytes()])
    with pytest.raises(bt_keras.UsageError, match=r"bad\.pth is truncated or damaged"):
        convert.load(path)


def test_big_endian_numbers_are_read(tmp_path):
    swapped = [BASE.astype(">f4").tobytes()]
    content = tensor_program((4, 6), (6, 1))
    path = archive(tmp_path / "big.pth", content, swapped, byteorder=b"big")
    np.testing.assert_array_equal(convert.load(path), BASE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"conv1.weight 1 2 3\n" * 9, "is not a PyTorch file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is not a PyTorch file"),
        (bytes(257) + b"ustar  \0" + bytes(300), r"oldest format \(tar\)"),
        (pickle.dumps({"conv1.weight": [1.0]}), "not of torch.save"),
        (pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(7), "version 7"),
    ],
)
def test_other_files_are_named(content, message, tmp_path):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.load(tmp_path / "bad.pth")


def test_zip_archives_of_others_are_named(tmp_path):
    path = tmp_path / "bad.pth"
    with path.open("wb") as file:
        np.savez(file, a=BASE)
    with pytest.raises(bt_keras.UsageError, match=r"without the data\.pkl"):
        convert.load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02}.")
    with pytest.raises(bt_keras.UsageError, match="compressed"):
        convert.load(path)


def test_what_is_written_is_read_again(tmp_path):
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
    again = convert.load(tmp_path / "out.pth")
    assert again["numbers"] == tree["numbers"]
    assert again[3] == tree[3]
    assert again["none"] == tree["none"]
    for ours, theirs in zip(again["arrays"], tree["arrays"], strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.shape == theirs.shape
    for name, array in tree["types"].items():
        assert again["types"][name].dtype == array.dtype
        np.testing.assert_array_equal(again["types"][name], array)
    # Numbers begin where the file can be mapped into memory.
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
def test_what_has_no_place_in_a_file_is_named(value, message, tmp_path):
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.save(tmp_path / "out.pth", value)
    assert not list(tmp_path.iterdir())
