"""The members of a tar file, checked and read one header at a time.

Only `tarfile`'s parser of a single header is used: in some of the releases of Python
that we support, its extraction filter can be evaded by links (CVE-2025-4517) and some
headers make it loop (CVE-2025-8194), and it reads extended headers of any size.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from bt_keras.errors import shown
from bt_keras.files import zip_file
from bt_keras.hub.member_names import MAX_MEMBERS, MemberNames, UnsafeError

MAX_BYTES = zip_file.MAX_BYTES
_BLOCK = 512
_CHUNK = 2**20
# Bytes of an extended header, and how many may precede a member. They hold long names.
_MAX_EXTENDED_BYTES = 2**20
_MAX_EXTENDED = 4
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.GNUTYPE_LONGLINK: "a link",
}


class Member(NamedTuple):
    """A file or a folder in an archive.

    Args:
        parts: Tuple of str, the components of its path; empty for the archive's root.
        contents: `Contents` of a file, `None` for a folder.
    """

    parts: tuple[str, ...]
    contents: Contents | None


class Contents:
    """The contents of one file; the next member can be read at any time.

    Args:
        stream: Binary file at the start of the contents.
        size: Integer, number of bytes.
    """

    def __init__(self, stream: BinaryIO, size: int):
        self._stream = stream
        self._left = size

    def read(self, size: int = _CHUNK) -> bytes:
        """Returns at most `size` bytes, none at the end; `EOFError` if some lack."""
        chunk = self._stream.read(min(size, self._left))
        if not chunk and self._left and size:
            raise EOFError("a file ends early")
        self._left -= len(chunk)
        return chunk


def read(stream: BinaryIO, max_bytes: int = MAX_BYTES) -> Iterator[Member]:
    """Reads and checks the members of an uncompressed tar file.

    Args:
        stream: Binary file.
        max_bytes: Integer, the most bytes that all files together may have. Defaults to
            8 GiB.

    Yields:
        `Member`.

    Raises:
        UnsafeError: If a member is not a plain file or folder or has an unsafe name, or
            if there are too many members or bytes.
        tarfile.TarError, EOFError: If the archive is damaged or ends early.
    """
    names, members, total = MemberNames(), 0, 0
    extended, extended_headers = _Extended(), 0
    while header := _header(stream):
        is_extended = header.type in _EXTENDED
        extended_headers = extended_headers + 1 if is_extended else 0
        if header.size < 0 or extended_headers > _MAX_EXTENDED:
            raise tarfile.ReadError("invalid header")
        members += not is_extended
        if members > MAX_MEMBERS:
            raise UnsafeError(f"it has more than {MAX_MEMBERS:,} files and folders")
        size = header.size if extended.size is None or is_extended else extended.size
        total += size
        if total > max_bytes:
            raise UnsafeError(
                f"its files have more than {max_bytes:,} bytes; if you trust it, pass "
                "a larger max_bytes"
            )
        contents = Contents(stream, size)
        if is_extended:
            extended.read(header.type, contents, size)
        else:
            name = header.name if extended.name is None else extended.name
            yield _member(header, name, size, contents, names)
            extended = _Extended()
        while contents.read():
            pass
        _read_all(stream, -size % _BLOCK)


def _header(stream):
    """Returns the next header, or `None` at the end mark of the archive."""
    block = _read_all(stream, _BLOCK)
    if not block.strip(b"\0"):
        return None
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")


def _read_all(stream, size):
    content = b""
    while len(content) < size:
        chunk = stream.read(size - len(content))
        if not chunk:
            raise EOFError("the archive ends early")
        content += chunk
    return content


def _member(header, name, size, contents, names):
    is_file = header.type in _FILES
    if not is_file and header.type != tarfile.DIRTYPE:
        kind = _KINDS.get(header.type, "of an unknown kind")
        raise UnsafeError(f"{shown(name)} is {kind}, not a file or a folder")
    if size and not is_file:
        raise tarfile.ReadError("a folder with contents")
    return Member(names.add(name, is_file), contents if is_file else None)


class _Extended:
    """What the extended headers before a member say about it."""

    def __init__(self):
        self.name = None
        self.size = None

    def read(self, kind, contents, size):
        if size > _MAX_EXTENDED_BYTES:
            raise UnsafeError(f"it has an extended header of {size:,} bytes")
        content = _read_all(contents, size)
        if kind == tarfile.GNUTYPE_LONGNAME:
            self.name = _text(content.rstrip(b"\0"))
            return
        records = dict(_records(content))
        if any(key.startswith(b"GNU.sparse") for key in records):
            raise UnsafeError("it has a sparse file")
        if kind == tarfile.XGLTYPE:
            if records.keys() & {b"path", b"size"}:
                raise UnsafeError("it has one name or size for all members")
            return
        if b"path" in records:
            self.name = _text(records[b"path"])
        if b"size" in records:
            self.size = _number(records[b"size"])


def _records(content):
    """Yields the keys and values of a pax header: lines of `LENGTH KEY=VALUE`."""
    start = 0
    while start < len(content):
        digits, _, _ = content[start : start + 8].partition(b" ")
        end = start + _number(digits)
        record = content[start + len(digits) + 1 : end]
        key, separator, value = record.partition(b"=")
        if not separator or not value.endswith(b"\n") or end > len(content):
            raise tarfile.ReadError("invalid extended header")
        yield key, value[:-1]
        start = end


def _number(digits):
    if not digits.isdigit() or len(digits) > 20:
        raise tarfile.ReadError("invalid number in an extended header")
    return int(digits)


def _text(content):
    return content.decode("utf-8", "surrogateescape")
