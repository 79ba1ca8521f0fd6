"""Check the files of a folder of images, and warn about what is left out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from absl import logging

from bt_keras.data import bits as bits_lib
from bt_keras.data import image_files, tiff_bands
from bt_keras.data.index_file import FileInfo
from bt_keras.data.layout import Layout
from bt_keras.errors import DAMAGE, UsageError, listed
from bt_keras.files import storage

# Kinds of files that are often next to images. Only their number is told.
_TEXT = (".cfg", ".csv", ".ini", ".json", ".jsonl", ".log", ".md", ".tsv", ".txt")
_MARKUP = (".htm", ".html", ".pdf", ".xml", ".yaml", ".yml")
_COMPANIONS = frozenset((*_TEXT, *_MARKUP, ".db", ".ipynb", ".py", ".sh"))
_File = tuple[str, int]  # Path and label.


def check_bits(
    root: str, files: Sequence[_File], infos: Sequence[FileInfo], bits: int
) -> None:
    """Checks that images with more than 8 bits use the range of `bits`.

    Args:
        root: String. Folder of the split.
        files: Sequence of (path, label).
        infos: Sequence of `FileInfo` of these files.
        bits: Integer, see `bt_keras.data.load`.

    Raises:
        UsageError: If a value exceeds the range.
    """
    largest, path = max(
        (info.largest, path) for (path, _), info in zip(files, infos, strict=True)
    )
    needed = max(9, largest.bit_length())
    if largest >= 2**bits:
        raise UsageError(
            f"{os.path.relpath(path, root)!r} in {root!r} has the value {largest}, "
            f"more than {bits} bits hold: give config.data.bits={needed} "
            f"(bits={needed} of bt_keras.data.load)."
        )
    bits_lib.warn_if_dark(
        f"The images with more than 8 bits in {root!r}", largest, bits
    )


def warn_about_pages(root: str, files: Sequence[_File]) -> None:
    """Warns if the first TIFF file has pages that are not read, which may be bands.

    Args:
        root: String. Folder of the split.
        files: Sequence of (path, label), images that are read as RGB.
    """
    paths = (path for path, _ in files if path.lower().endswith((".tif", ".tiff")))
    first = next(paths, None)
    try:
        pages = tiff_bands.count_pages(storage.read(first)[0]) if first else 1
    except (OSError, *DAMAGE):  # It can be read otherwise.
        return
    if pages > 1:
        logging.warning(
            "%r in %r has %d pages, of which only the first is read, as RGB. If the "
            "pages are bands, give config.data.channels=%d (channels=%d of "
            "bt_keras.data.load).",
            os.path.relpath(first, root),
            root,
            pages,
            pages,
            pages,
        )


def warn(
    path: str, found: Layout, files: Sequence[_File], left_out: Mapping[str, list[str]]
) -> None:
    """Warns about files and folders that are not read, and about odd classes.

    Args:
        path: String. The folder as the user gave it.
        found: `Layout`.
        files: Sequence of (path, label), the readable images.
        left_out: Mapping from a kind to the paths of files that are not images.
    """
    if found.ignored:
        logging.warning(
            "The images in %s of %r are not read: these folders are not splits by "
            "name. If they are, give config.data.layout=splits.",
            listed(found.ignored),
            path,
        )
    unexpected = {k: paths for k, paths in left_out.items() if k not in _COMPANIONS}
    if unexpected:
        first = min(unexpected[next(iter(image_files.count_kinds(unexpected)))])
        logging.warning(
            "Left out of %r, because they are not files of a known image format: %s "
            "(such as %r).",
            found.root,
            image_files.count_text(image_files.count_kinds(unexpected)),
            os.path.relpath(first, found.root),
        )
    if names := [path for path, _ in files if not _is_utf8(path)]:
        logging.warning(
            "Names in %r that are not UTF-8: %d, such as %r. Rename them for other "
            "programs.",
            found.root,
            len(names),
            os.path.relpath(names[0], found.root),
        )
    if found.class_names is not None:
        _warn_about_classes(found, {label for _, label in files})


def _warn_about_classes(found: Layout, labels: set[int]) -> None:
    names = found.class_names or ()
    empty = [name for label, name in enumerate(names) if label not in labels]
    empty += [n for n in image_files.subfolders(found.root) if n not in names]
    if empty:
        logging.warning(
            "No readable image of %s %s in %r.",
            "class" if len(empty) == 1 else "classes",
            listed(sorted(empty)),
            found.root,
        )


def warn_about_possible_splits(root: str, files: Sequence[_File]) -> None:
    """Warns if classes hold folders of the same names, as splits under any name do.

    Args:
        root: String. Folder of the classes.
        files: Sequence of (path, label).
    """
    inside: dict[str, set[str]] = {}
    for path, _ in files:
        first, *rest = os.path.relpath(path, root).split(os.sep)
        if len(rest) > 1:
            inside.setdefault(first, set()).add(rest[0])
    alike = [
        name
        for name, names in inside.items()
        if len(names) > 1 and list(inside.values()).count(names) > 1
    ]
    if alike:
        logging.warning(
            "%s in %r hold folders of the same names and are read as classes: if they "
            "are splits, give config.data.layout=splits, otherwise classes.",
            listed(alike),
            root,
        )


def _is_utf8(path: str) -> bool:
    if path.isascii():
        return True
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
