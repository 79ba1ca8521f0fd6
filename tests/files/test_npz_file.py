import io
import math
import zipfile

import numpy as np
import pytest

from bt_keras.errors import DAMAGE
from bt_keras.files import npz_file

ARRAYS = {
    "file": np.arange(6.0).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "empty": np.zeros((0, 2), np.float16),
    "scalar": np.array(True),
    "text": np.array(["a", "bc"]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_equal_those_of_numpy(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, **{name: a for name, a in ARRAYS.items() if name != "file"})
    with np.load(path) as file:
        expected = dict(file)
    loaded = npz_file.load(path)
    assert loaded.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype


def with_header(path, header, version=b"\1\0", data=b""):
    length = len(header).to_bytes(2 if version == b"\1\0" else 4, "little")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY" + version + length + header + data)
    return path


def header(shape, descr="<f4"):
    return repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ((header((2**40,)),), "larger than its file"),
        ((header((1,), "<V1000000000"),), "larger than its file"),
        ((header((-1,)),), "."),
        ((header((1,)), b"\2\0"), "larger than its file"),
        ((header((1,)), b"\3\0"), "unknown format"),
        ((b" " * 60_000,), "header of 60,000 bytes"),
        ((b" " * 20_000, b"\2\0"), "header of 20,000 bytes"),
        ((b"(" * 9_000,), "."),
        ((b"",), "."),
    ],
)
def test_headers_are_checked(tmp_path, content, match):
    with pytest.raises(DAMAGE, match=match):
        npz_file.load(with_header(tmp_path / "a.npz", *content))


def test_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([object(), None]))
    with pytest.raises(ValueError, match="allow_pickle"):
        npz_file.load(tmp_path / "a.npz")


def test_other_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.txt", "text" * 10)
    with pytest.raises(ValueError, match="magic"):
        npz_file.load(tmp_path / "a.npz")


def test_a_small_file_with_large_arrays_is_refused_before_they_are_read(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros(2**20, np.uint8))
    start = file.getvalue()[:128].replace(b"1048576", b"999999999")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", start + bytes(2**20))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.infolist()[0].file_size = 2**30
        archive._didModify = True
    with pytest.raises(zipfile.BadZipFile, match="1,073,741,824 bytes"):
        npz_file.load(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(0,), (7,), (7, 3), (7, 0), (7, 3, 2)])
@pytest.mark.parametrize("dtype", ["<f4", "<i8", "<U9"])
def test_rows_are_written_in_blocks(tmp_path, shape, dtype):
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    path = tmp_path / "rows.npz"
    with zipfile.ZipFile(path, "w") as archive:
        blocks = [array[:3], array[3:3], array[3:]]
        npz_file.write_rows(archive, "rows", shape, dtype, blocks)
    for loaded in (np.load(path)["rows"], npz_file.load(path)["rows"]):
        np.testing.assert_array_equal(loaded, array)
        assert loaded.dtype == dtype


@pytest.mark.parametrize("blocks", [[np.zeros((2, 3))], [np.zeros((4, 2))], []])
def test_blocks_that_do_not_fit_are_an_error(tmp_path, blocks):
    with (
        zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive,
        pytest.raises(ValueError, match="array of"),
    ):
        npz_file.write_rows(archive, "rows", (4, 3), "f4", blocks)
