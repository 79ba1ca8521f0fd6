"""Files that PyTorch wrote, and damaged ones."""

import pickle
import zipfile

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from tests.conftest import REFERENCE
from tests.convert.pth.pickles import START, archive, tensor, view

BASE = np.arange(24, dtype=np.float32).reshape(4, 6) / 8
FILES = ("tensors.pth", "tensors_stream.pth")


@pytest.mark.parametrize("name", FILES)
def test_types_and_layouts_that_pytorch_writes(name):
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
def test_tensors_of_one_storage_share_read_only_memory(name):
    tree = convert.load(REFERENCE / name)
    assert np.shares_memory(tree["whole"], tree["part"])
    with pytest.raises(ValueError, match="read-only"):
        tree["whole"][0, 0] = 1


@pytest.mark.parametrize("name", FILES)
def test_truncated_files(name, tmp_path):
    content = (REFERENCE / name).read_bytes()
    path = tmp_path / "cut.pth"
    lengths = {0, 1, 3, 4, 14, 100, len(content) - 1}
    for length in sorted(lengths | set(range(200, len(content), 331))):
        path.write_bytes(content[:length])
        with pytest.raises(bt_keras.UsageError, match=r"cut\.pth is ") as error:
            convert.load(path)
        assert "\n" not in str(error.value)


def test_changed_elements_fail_the_checksum(tmp_path):
    content = bytearray((REFERENCE / "tensors.pth").read_bytes())
    content[content.index(BASE.tobytes()) + 5] ^= 1
    (tmp_path / "changed.pth").write_bytes(content)
    with pytest.raises(bt_keras.UsageError, match="damaged"):
        convert.load(tmp_path / "changed.pth")


def tensor_program(shape, strides, offset=0, count=24, key="0"):
    """The pickle of one float32 tensor in a storage of `count` elements."""
    return START + tensor(count, view(shape, strides, offset), key=key) + b"."


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"shape": (4, 6), "strides": (6, 1), "offset": 1}, "reaches element 24 of a"),
        ({"shape": (25,), "strides": (1,)}, "reaches element 24 of a storage of 24"),
        ({"shape": (2,), "strides": (24,)}, "reaches element 24"),
        ({"shape": (2, 2), "strides": (2**62, 1)}, "reaches element"),
        ({"shape": (4,), "strides": (-1,)}, "a negative offset, shape or stride"),
        ({"shape": (-4,), "strides": (1,)}, "a negative offset, shape or stride"),
        (
            {"shape": (4,), "strides": (1,), "offset": -1},
            "a negative offset, shape or stride",
        ),
        ({"shape": (4,), "strides": (1, 1)}, "different numbers of axes and strides"),
        ({"shape": (4,), "strides": (1,), "count": 2**62}, "has 96 bytes instead of"),
        ({"shape": (4,), "strides": (1,), "count": -1}, "has 96 bytes instead of -4"),
        ({"shape": (2**62, 2**62), "strides": (0, 0)}, "more elements than"),
        ({"shape": (1,) * 100, "strides": (1,) * 100}, "more than 64 axes"),
        ({"shape": (4,), "strides": (1,), "key": "../data.pkl"}, "no item named"),
        ({"shape": (4,), "strides": (1,), "key": "7"}, "no item named"),
    ],
)
def test_tensors_outside_their_storage(tensor, message, tmp_path):
    path = archive(tmp_path / "bad.pth", tensor_program(**tensor), [BASE.tobytes()])
    with pytest.raises(bt_keras.UsageError, match=rf"damaged .*{message}"):
        convert.load(path)


def test_big_endian_elements(tmp_path):
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
        (pickle.dumps({"conv1.weight": [1.0]}), "not written by torch.save"),
        (pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(7), "version 7"),
    ],
)
def test_files_of_other_formats(content, message, tmp_path):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.load(tmp_path / "bad.pth")


def test_zip_archives_that_torch_did_not_write(tmp_path):
    path = tmp_path / "bad.pth"
    with path.open("wb") as file:
        np.savez(file, a=BASE)
    with pytest.raises(bt_keras.UsageError, match=r"without a data\.pkl"):
        convert.load(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\x80\x02}.")
    with pytest.raises(bt_keras.UsageError, match="compressed"):
        convert.load(path)
