import copy
import os
import struct
import zipfile

import pytest

from bt_keras.files import zip_file


def write(path, members, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def refused(path, match, **arguments):
    with (
        pytest.raises(zipfile.BadZipFile, match=match),
        zip_file.opened(path, **arguments),
    ):
        pass


def test_members_are_read(tmp_path):
    path = write(tmp_path / "a.zip", [("x", b"1" * 1000), ("y", b"")])
    with zip_file.opened(path) as archive:
        assert archive.read("x") == b"1" * 1000
        assert archive.namelist() == ["x", "y"]


def test_too_many_members(tmp_path):
    path = write(tmp_path / "a.zip", [(str(n), b"") for n in range(10_001)])
    refused(path, "more than 10,000 members")


def test_a_long_list_of_members_is_not_read(tmp_path):
    path = write(tmp_path / "a.zip", [("x", b"")])
    content = path.read_bytes()
    end = content.rindex(b"PK\5\6")
    fields = list(struct.unpack_from("<4s4H2LH", content, end))
    size = 2**24 + 1
    fields[5:7] = size, end
    path.write_bytes(content[:end] + bytes(size) + struct.pack("<4s4H2LH", *fields))
    refused(path, "list of its members is too long")


@pytest.mark.parametrize("size", [2**29 + 2**20, 2**33 + 1])
def test_declared_sizes_are_limited(tmp_path, size):
    path = write(tmp_path / "a.zip", [("x", b"1")])
    with zipfile.ZipFile(path, "a") as archive:
        archive.getinfo("x").file_size = size
        archive._didModify = True
    refused(path, "bytes when decompressed, more than")
    with zip_file.opened(path, max_bytes=size):
        pass


def test_stored_members_that_overlap(tmp_path):
    path = write(tmp_path / "a.zip", [("x", b"1" * 1000)], zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.getinfo("x")
        for name in "yz":
            other = copy.copy(first)
            other.filename = name
            archive.filelist.append(other)
        archive._didModify = True
    refused(path, "larger than the file")


def test_other_kinds_of_compression(tmp_path):
    refused(write(tmp_path / "a", [("x", b"1")], zipfile.ZIP_LZMA), "compression")


def test_files_that_are_not_zip_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    refused(tmp_path / "fifo", "not a file")
    refused(tmp_path, "not a file")
    (tmp_path / "text").write_text("text")
    refused(tmp_path / "text", "not a zip file")
