"""Find the image files of a folder, and count the files that are left out."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from bt_keras.files import storage

EXTENSIONS = (
    ".jpg",
    ".jpeg",
    ".png",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
)
# Read where there are no other image files.
ARRAY_EXTENSIONS = (".npy",)
# Folders that operating systems and archives add.
_SYSTEM_FOLDERS = frozenset(
    {"__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"}
)
_SPECIAL = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name does not belong to the data."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


def is_image(name: str, extensions: tuple[str, ...] = EXTENSIONS) -> bool:
    """Whether a file of this name is read."""
    return not is_hidden(name) and name.lower().endswith(extensions)


def extensions_in(path: str) -> tuple[str, ...]:
    """Returns the extensions of the files that are read in a folder.

    NumPy's arrays may be images, or notes about images. They are read only if there is
    no image of another format at any depth.
    """
    if not has_images_below(path) and has_images_below(path, ARRAY_EXTENSIONS):
        return ARRAY_EXTENSIONS
    return EXTENSIONS


def subfolders(path: str) -> list[str]:
    """Returns the sorted names of the folders in a folder, without hidden ones."""
    with storage.scan(path) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not is_hidden(entry.name) and _holds(entry.is_dir)
        )


def has_images(path: str, extensions: tuple[str, ...] = EXTENSIONS) -> bool:
    """Whether a folder itself holds an image file."""
    with storage.scan(path) as entries:
        return any(
            is_image(entry.name, extensions) and _holds(entry.is_file)
            for entry in entries
        )


def has_images_below(path: str, extensions: tuple[str, ...] = EXTENSIONS) -> bool:
    """Whether a folder holds an image file at any depth."""
    return next(walk(path, extensions=extensions), None) is not None


def walk(
    path: str,
    left_out: dict[str, list[str]] | None = None,
    extensions: tuple[str, ...] = EXTENSIONS,
) -> Iterator[str]:
    """Yields the image files of a folder at any depth.

    Links are followed, but each folder is visited once. A file with the extension of
    an image that is a broken link is yielded, so that it is reported as unreadable.

    Args:
        path: String. A folder; nothing is yielded if there is none.
        left_out: Dict that receives the paths of other files, by kind. Hidden files
            are not counted. Defaults to `None`.
        extensions: Tuple of strings, the extensions of image files. Defaults to all
            formats but NumPy's.
    """
    seen: set[str] = set()
    folders = [path]
    while folders:
        folder = folders.pop()
        real = storage.real(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            images, inside = _scan(folder, left_out, extensions)
        except FileNotFoundError:  # A split may lack a class.
            continue
        yield from images
        folders += sorted(inside, reverse=True)


def in_order(
    path: str,
    left_out: dict[str, list[str]] | None = None,
    extensions: tuple[str, ...] = EXTENSIONS,
) -> list[str]:
    """Returns what `walk` yields, in the same order on every system."""
    # A backslash, Windows's separator, comes after capital letters and digits.
    return sorted(
        walk(path, left_out, extensions), key=lambda file: file.replace(os.sep, "/")
    )


def note_left_out(
    path: str,
    left_out: dict[str, list[str]],
    extensions: tuple[str, ...] = EXTENSIONS,
) -> None:
    """Adds to `left_out` the files in a folder itself that are not images."""
    _scan(path, left_out, extensions)


def _scan(
    path: str, left_out: dict[str, list[str]] | None, extensions: tuple[str, ...]
) -> tuple[list, list]:
    """Returns the paths of the image files and of the folders in a folder."""
    images, folders = [], []
    with storage.scan(path) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if _holds(entry.is_dir):
                folders.append(entry.path)
            elif not (kind := _kind_left_out(entry, extensions)):
                images.append(entry.path)
            elif left_out is not None:
                left_out.setdefault(kind, []).append(entry.path)
    return images, folders


def count_kinds(left_out: dict[str, list[str]]) -> Counter[str]:
    """Returns the number of files of each kind, the most frequent kind first."""
    counts = Counter({kind: len(paths) for kind, paths in left_out.items()})
    return Counter(dict(counts.most_common()))


def count_text(counts: Mapping[str, int]) -> str:
    """Returns the numbers of files of each kind, such as "12 .heic, 1 FIFO"."""
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _kind_left_out(
    entry: os.DirEntry | storage.RemoteEntry, extensions: tuple[str, ...]
) -> str | None:
    """Returns the kind of a file that is not an image, None for images."""
    if _holds(entry.is_file):
        suffix = os.path.splitext(entry.name)[1].lower()
        return (
            None if is_image(entry.name, extensions) else suffix or "without extension"
        )
    try:
        mode = os.stat(entry.path).st_mode
    except OSError:
        return None if is_image(entry.name, extensions) else "broken link"
    # Opening a FIFO waits for its other end.
    return _SPECIAL.get(stat.S_IFMT(mode), "device")


def _holds(question: Callable[[], bool]) -> bool:
    """Answer of a directory entry; a link to itself is neither file nor folder."""
    try:
        return question()
    except OSError:
        return False
