"""Checks the names in an archive: each is a path inside it on every file system."""

from __future__ import annotations

import unicodedata

from bt_keras.errors import shown
from bt_keras.files import zip_file

MAX_MEMBERS = zip_file.MAX_MEMBERS
_MAX_NAME, _MAX_PATH = 255, 1024  # Bytes that file systems allow for names and paths.
_MAX_DEPTH = 16
# Windows opens devices of these names in every folder.
_DEVICES = {"con", "prn", "aux", "nul"}
_DEVICES |= {f"{device}{n}" for device in ("com", "lpt") for n in range(1, 10)}


class UnsafeError(Exception):
    """An archive that must not be unpacked; the message gives the reason."""


class MemberNames:
    """The names of an archive's members so far."""

    def __init__(self):
        self._explicit = set()
        self._files = set()
        self._folders = set()

    def add(self, name: str, is_file: bool) -> tuple[str, ...]:
        """Checks one more name.

        Args:
            name: String, the name in the archive.
            is_file: Boolean, whether it is a file and not a folder.

        Returns:
            Tuple of str, the components of the path. Empty for the archive's root.

        Raises:
            UnsafeError: If the path leaves the archive's folder, if a file system
                cannot hold it or confuses it with another member's, or if there are
                too many members.
        """
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        problem = _problem(name, parts, is_file)
        if problem:
            raise UnsafeError(f"{shown(name)} {problem}")
        if not parts:
            return parts
        # macOS and Windows do not distinguish all characters.
        folded = [unicodedata.normalize("NFC", part).casefold() for part in parts]
        path, *folders = ("/".join(folded[:n]) for n in range(len(parts), 0, -1))
        if path in self._explicit:
            raise UnsafeError(
                f"{shown(name)} has the name of another member, as Windows and macOS "
                "compare names"
            )
        self._explicit.add(path)
        (self._files if is_file else self._folders).add(path)
        self._folders.update(folders)
        if path in self._files & self._folders or not self._files.isdisjoint(folders):
            raise UnsafeError(f"{shown(name)} is both a file and a folder")
        if len(self._files) + len(self._folders) > MAX_MEMBERS:
            raise UnsafeError(f"it has more than {MAX_MEMBERS:,} files and folders")
        return parts


def _problem(name, parts, is_file):
    """Returns why a name is refused, or `None`."""
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in parts:
        return "is a path that leaves the folder"
    if is_file and (not parts or name.endswith(("/", "/."))):
        return "is a file without a name"
    if any(c in "\\:" or ord(c) < 32 or ord(c) == 127 for c in name):
        return "has a backslash, a colon or a control character"
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "is not UTF-8"
    if len(sizes) > _MAX_DEPTH or sum(sizes) + len(sizes) > _MAX_PATH:
        return "is too long a path"
    if max(sizes, default=0) > _MAX_NAME:
        return "is too long a name"
    if any(part.endswith((".", " ")) for part in parts):
        return "ends with a dot or a space"
    if any(part.split(".")[0].rstrip().lower() in _DEVICES for part in parts):
        return "is the name of a device in Windows"
    return None
