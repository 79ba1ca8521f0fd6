"""Archives: what is refused, and that nothing is written then."""

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile

import pytest

from bt_keras.hub import unpack
from bt_keras.hub.member_names import UnsafeError

FILE, FOLDER = tarfile.REGTYPE, tarfile.DIRTYPE


def entry(name, kind=FILE, content=b"", **fields):
    """A member's header with its contents."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, content


def packed(members, form=tarfile.PAX_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def refused(tmp_path, content, match, error=UnsafeError, **arguments):
    """Checks that a tar file is refused before anything is written."""
    (tmp_path / "m.tar").write_bytes(content)
    (tmp_path / "target").mkdir()
    with pytest.raises(error, match=match):
        unpack.unpack(tmp_path / "m.tar", tmp_path / "target", **arguments)
    assert sorted(os.listdir(tmp_path)) == ["m.tar", "target"]
    assert os.listdir(tmp_path / "target") == []


def unpacked(tmp_path, content):
    target = tmp_path / "target"
    target.mkdir()
    unpack.unpack(io.BytesIO(content), target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in files}


LONG = "long/" * 15 + "name" * 50
MEMBERS = [
    entry("./", FOLDER),
    entry("graph.pb", content=b"g" * 3000),
    entry("variables", FOLDER),
    entry("variables/empty"),
    entry("./variables//data", content=b"d" * 512),
    entry(LONG, content=b"long"),
]
CONTENTS = {
    "graph.pb": b"g" * 3000,
    "variables/empty": b"",
    "variables/data": b"d" * 512,
    LONG: b"long",
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_files_and_folders_are_unpacked(tmp_path, form, compress):
    assert unpacked(tmp_path, compress(packed(MEMBERS, form))) == CONTENTS


def test_permissions_and_owners_are_ignored(tmp_path):
    member = entry("graph.pb", mode=0o6777, uid=1, gid=1)
    assert unpacked(tmp_path, packed([member])) == {"graph.pb": b""}
    mode = (tmp_path / "target" / "graph.pb").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR | stat.S_IWOTH)


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6", b"7", b"S", b"K", b"Z"])
def test_anything_but_files_and_folders_is_refused(tmp_path, kind):
    members = [entry("graph.pb"), entry("other", kind, linkname="graph.pb")]
    refused(tmp_path, packed(members), "'other' is .*, not a file or a folder")


NAMES = {
    "absolute": (["/x"], "absolute path"),
    "parent": (["a/../../x"], "leaves the folder"),
    "duplicate": (["x", "./x"], "name of another member"),
    "case": (["README.md", "readme.md"], "name of another member"),
    "accents": (["\xe9", "e\u0301"], "name of another member"),
    "dot": (["a./x"], "ends with a dot"),
    "space": (["x "], "ends with a dot or a space"),
    "device": (["assets/NUL.txt"], "device in Windows"),
    "backslash": (["..\\x"], "backslash"),
    "drive": (["c:x"], "colon"),
    "newline": (["a\nb"], "control character"),
    "name": (["x" * 256], "too long a name"),
    "path": (["x" * 200 + "/y" * 500], "too long a path"),
    "depth": (["x/" * 17 + "y"], "too long a path"),
    "file with a child": (["x", "x/y"], "both a file and a folder"),
    "folder as a file": (["x/y", "x"], "both a file and a folder"),
    "empty": (["./"], "file without a name"),
}


@pytest.mark.parametrize("case", NAMES)
def test_unsafe_names_are_refused(tmp_path, case):
    names, match = NAMES[case]
    members = [entry(name, mode=0o644) for name in ["first", *names]]
    refused(tmp_path, packed(members), match)


@pytest.mark.parametrize(("path", "match"), [("a\0b", "control"), ("\udcff", "UTF-8")])
def test_unsafe_names_in_extended_headers_are_refused(tmp_path, path, match):
    record = b" path=%s\n" % path.encode("utf-8", "surrogateescape")
    record = b"%d%s" % (len(record) + 2, record)
    members = [entry("x", tarfile.XHDTYPE, record), entry("a")]
    refused(tmp_path, packed(members, tarfile.USTAR_FORMAT), match)


def test_sparse_files_in_extended_headers_are_refused(tmp_path):
    member = entry("x", content=b"1", pax_headers={"GNU.sparse.major": "1"})
    refused(tmp_path, packed([member]), "sparse")


@pytest.mark.parametrize("folder", ["", "{}/a/b/c/d/"])
def test_too_many_members_are_refused(tmp_path, folder):
    count = 2_002 if folder else 10_001
    members = [entry(f"{folder.format(n)}{n}") for n in range(count)]
    refused(tmp_path, gzip.compress(packed(members), 1), "10,000 files and folders")


def test_the_root_many_times_is_refused(tmp_path):
    block = entry("./", FOLDER)[0].tobuf()
    refused(tmp_path, gzip.compress(block * 20_000), "10,000 files and folders")


def test_declared_bytes_are_limited(tmp_path):
    header = entry("x", size=2**34)[0].tobuf(tarfile.GNU_FORMAT)
    refused(tmp_path, header, "8,589,934,592 bytes.*max_bytes")


def test_max_bytes_counts_all_files(tmp_path):
    members = [entry("x", content=b"1" * 600), entry("y", content=b"1" * 401)]
    refused(tmp_path, packed(members), "1,000 bytes", max_bytes=1000)


def test_long_extended_headers_are_refused(tmp_path):
    member = entry("x", tarfile.GNUTYPE_LONGNAME, b"x" * 2**21)
    refused(tmp_path, packed([member]), "extended header")


def test_a_chain_of_extended_headers_is_damage(tmp_path):
    members = [entry("x", tarfile.GNUTYPE_LONGNAME, b"y")] * 2000
    refused(tmp_path, packed(members), "invalid header", tarfile.TarError)


def test_a_negative_size_is_damage(tmp_path):
    header = bytearray(entry("x")[0].tobuf())
    header[124:136] = b"\xff" * 12  # -1 in GNU's base-256.
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    refused(tmp_path, bytes(header), "invalid header", tarfile.TarError)


def test_an_archive_without_its_end_is_damage(tmp_path):
    content = packed(MEMBERS)
    refused(tmp_path, content[:1024], "ends early", EOFError)


def test_data_behind_the_end_is_limited(tmp_path):
    content = gzip.compress(packed(MEMBERS) + bytes(2**25), 1)
    refused(tmp_path, content, "behind its last member")


def test_xz_is_refused_with_advice(tmp_path):
    refused(tmp_path, lzma.compress(packed(MEMBERS)), r"xz: pack it as \.tar\.gz")


def test_the_folder_is_empty_after_an_error_of_the_file_system(tmp_path, monkeypatch):
    write, calls = unpack._write, []

    def fail(member, path):
        write(member, path)
        calls.append(path)
        if len(calls) == 3:
            raise OSError("No space left on device")

    monkeypatch.setattr(unpack, "_write", fail)
    refused(tmp_path, packed(MEMBERS), "No space", OSError)
