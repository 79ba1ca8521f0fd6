import os

import numpy as np
import pytest

from bt_keras.files.npy_rows import RowsReader, RowsWriter, checksum

SHAPE = (7, 3)
ROWS = np.arange(21, dtype="f4").reshape(SHAPE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.npy"


def write(path, first, last, done=0, crc=0, dtype="float32"):
    with RowsWriter(path, SHAPE, dtype, done, crc) as writer:
        for row in ROWS[first:last]:
            writer.append(row[np.newaxis])
        writer.sync()
    return writer


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
def test_numpy_reads_the_same_array(path, dtype):
    writer = write(path, 0, 7, dtype=dtype)
    expected = ROWS.astype(dtype)
    np.testing.assert_array_equal(np.load(path), expected)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), expected)
    assert checksum(path, SHAPE, dtype, 7) == writer.crc
    reader = RowsReader(path, SHAPE, dtype)
    for start, stop in ((0, 7), (2, 3), (5, 100)):
        np.testing.assert_array_equal(reader.read(start, stop), expected[start:stop])


def test_rows_after_the_kept_ones_are_replaced(path):
    begun = write(path, 0, 3)
    write(path, 3, 5, begun.done, begun.crc)
    with pytest.raises(ValueError, match="mmap length"):  # It is not complete.
        np.load(path, mmap_mode="r")
    continued = write(path, 3, 7, begun.done, begun.crc)
    np.testing.assert_array_equal(np.load(path), ROWS)
    assert checksum(path, SHAPE, "float32", 7) == continued.crc


def test_files_that_are_not_those_rows_are_found(path):
    crc = write(path, 0, 7).crc
    for shape, dtype in (((8, 3), "float32"), (SHAPE, "float16")):
        with pytest.raises(ValueError, match="not an array of this shape"):
            checksum(path, shape, dtype, 7)
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    assert checksum(path, SHAPE, "float32", 7) != crc
    reader = RowsReader(path, SHAPE, "float32")
    os.truncate(path, len(content) - 1)
    with pytest.raises(ValueError, match="truncated"):
        checksum(path, SHAPE, "float32", 7)
    with pytest.raises(EOFError, match="truncated"):
        reader.read(6, 7)


@pytest.mark.parametrize("rows", [np.zeros((1, 2)), np.zeros((8, 3))])
def test_rows_that_do_not_fit_are_refused(path, rows):
    with (
        RowsWriter(path, SHAPE, "float32") as writer,
        pytest.raises(ValueError, match="after 0 rows"),
    ):
        writer.append(rows)


@pytest.mark.parametrize("can_pread", [True, False])
def test_rows_are_read_into_an_array(path, can_pread, monkeypatch):
    if not can_pread:  # As on Windows.
        monkeypatch.delattr(os, "preadv", raising=False)
    write(path, 0, 7)
    reader = RowsReader(path, SHAPE, "float32")
    found = np.zeros((4, 3), "float32")
    reader.read_into(2, found[1:])
    np.testing.assert_array_equal(found[1:], ROWS[2:5])
    assert not found[0].any()
    for wrong in (np.zeros((2, 3), "float16"), np.zeros((3, 2), "float32").T):
        with pytest.raises(ValueError, match="contiguous float32"):
            reader.read_into(0, wrong)
