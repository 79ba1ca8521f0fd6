"""How a folder of images is arranged: as images, as classes, or as splits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, NoReturn

from bt_keras.data.image_files import (
    EXTENSIONS,
    has_images,
    has_images_below,
    subfolders,
)
from bt_keras.errors import UsageError, listed

LAYOUTS = ("auto", "classes", "splits")

_NAMES = {
    "train": ("train", "training"),
    "validation": (
        "val",
        "valid",
        "validation",
        "dev",
        "development",
        "eval",
        "evaluation",
    ),
    "test": ("test", "testing"),
    "unlabeled": ("unlabeled", "unlabelled"),
}
_ROLES = {name: role for role, names in _NAMES.items() for name in names}
# A split's name without digits and separators, such as "training_set" or "val2017".
_SPLIT_NAME = re.compile(f"({'|'.join(_ROLES)})(set|data|images?|imgs?)*")
# Held-out images are called either way.
_INSTEAD = {"test": ("validation",), "validation": ("test",)}
# Folders around the data that are entered, such as those of unpacked archives.
_MAX_WRAPPERS = 4


class Layout(NamedTuple):
    """Where the images of a split are.

    Attributes:
        root: String. The folder of the split.
        class_names: Tuple of strings, the subfolders of `root` that are classes, over
            all splits; or None if there are no classes.
        splits: Tuple of strings, the names of the splits; empty if there are none.
        ignored: Tuple of strings, folders with images next to the splits, which are no
            splits by their names.
    """

    root: str
    class_names: tuple[str, ...] | None
    splits: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def find_layout(
    path: str,
    split: str = "train",
    layout: str = "auto",
    extensions: tuple[str, ...] = EXTENSIONS,
) -> Layout:
    """Finds the folder of a split and the names of the classes.

    Args:
        path: String. A folder of images, of classes or of splits, or one that holds
            such a folder only.
        split: String. A split, under its own name or under another of its role, such
            as "validation" for "val". Defaults to `"train"`.
        layout: String. `"classes"` if the subfolders are classes, `"splits"` if they
            are splits, `"auto"` to decide by their names. Defaults to `"auto"`.
        extensions: Tuple of strings, the extensions of image files, see
            `image_files.extensions_in`.

    Returns:
        `Layout`.

    Raises:
        UsageError: If the names do not tell splits from classes, if there is no such
            split, or if images are both at the top and in subfolders.
    """
    _require_utf8("", [path])
    path = _unwrap(path, extensions)
    splits = _splits(path, layout, extensions)
    if not splits:
        if split != "train":
            raise UsageError(
                f"{path!r} has no split {split!r}: a folder without subfolders such as "
                "train and val has the split 'train' only, and subsplits such as "
                "'train[:10%]' require a TFDS data set."
            )
        return Layout(path, _class_names([path], extensions))
    if has_images(path, extensions):
        raise _mixed(path)
    root = os.path.join(path, _choose(path, split, splits))
    # A class that is missing in one split must not change the labels of others.
    roots = [os.path.join(path, name) for name in splits]
    names = _class_names([root, *roots], extensions)
    names = names if _class_names([root], extensions) else None
    ignored = (
        name
        for name in subfolders(path)
        if name not in splits and has_images_below(os.path.join(path, name), extensions)
    )
    return Layout(root, names, tuple(splits), tuple(ignored))


def _role(name: str) -> str | None:
    """The role of a split's name, None for other names."""
    match = _SPLIT_NAME.fullmatch(re.sub("[^a-z]", "", name.lower()))
    return _ROLES[match[1]] if match else None


def _possible_role(name: str) -> str | None:
    """The role of a name that may be a split's or a class's, such as "seg_train"."""
    words = re.sub("[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", " ", name).lower().split()
    roles = {_ROLES.get(word) for word in words}
    roles = {_role(name), *roles} - {None}
    return roles.pop() if len(roles) == 1 else None


def _splits(path: str, layout: str, extensions: tuple[str, ...]) -> list[str]:
    """Names of the subfolders that are splits; none if they are classes."""
    names = subfolders(path)
    _require_utf8(path, names)
    if layout == "splits" and not names:
        raise UsageError(f"{path!r} has no subfolders, but layout='splits' needs some.")
    if layout != "auto":
        return names if layout == "splits" else []
    known = [name for name in names if _role(name)]
    if known and (known == names or _are_splits(known)):
        return known
    for name in names:
        if not _possible_role(name) and has_images(
            os.path.join(path, name), extensions
        ):
            continue
        inside = subfolders(os.path.join(path, name))
        if _are_splits(inside):
            _ask(path, name, f"holds the splits {listed(list(filter(_role, inside)))}")
        if _possible_role(name) and any(
            has_images_below(os.path.join(path, name, inner), extensions)
            for inner in inside
        ):
            others = [n for n in names if n != name and n not in known] or known
            are = "are not splits" if others[1:] else "is not a split"
            inner = f"holds folders ({listed(inside)})"
            _ask(path, name, f"{inner}, and {listed(others)} {are} by name")
    possible = {_possible_role(name) for name in names}
    if "train" in possible and len(possible) > 1 and None not in possible:
        _ask(path, names[0], f"is named like a split ({listed(names)})")
    return []


def _are_splits(names: Sequence[str]) -> bool:
    roles = {_role(name) for name in names} - {None}
    return "train" in roles and len(roles) > 1


def _ask(path: str, name: str, reason: str) -> NoReturn:
    raise UsageError(
        f"{path!r} can be read in two ways: {name!r} {reason}. Say what the subfolders "
        "are with config.data.layout=classes or config.data.layout=splits "
        "(layout= of bt_keras.data.load, --layout of bt-keras evaluate)."
    )


def _unwrap(path: str, extensions: tuple[str, ...]) -> str:
    """Enters folders that hold nothing but one folder with the splits or classes."""
    for _ in range(_MAX_WRAPPERS):
        names = subfolders(path)
        if not names or has_images(path, extensions):
            break
        inner = [
            name for name in names if _wraps(path, name, len(names) == 1, extensions)
        ]
        others = [name for name in names if name not in inner]
        # labels/ next to images/ is not a class.
        if len(inner) != 1 or any(
            has_images_below(os.path.join(path, name), extensions) for name in others
        ):
            break
        path = os.path.join(path, inner[0])
    return path


def _wraps(path: str, name: str, alone: bool, extensions: tuple[str, ...]) -> bool:
    inside = subfolders(os.path.join(path, name))
    if _role(name) or has_images(os.path.join(path, name), extensions):
        return False
    return _are_splits(inside) or (alone and bool(inside))


def _choose(path: str, split: str, names: Sequence[str]) -> str:
    """The subfolder of a split, by its name or by the role of its name."""
    role = _role(split)
    tests = [
        lambda name: name == split,
        lambda name: name.lower() == split.lower(),
        *(
            lambda name, wanted=wanted: wanted and _possible_role(name) == wanted
            for wanted in (role, *_INSTEAD.get(role or "", ()))
        ),
    ]
    for test in tests:
        found = [name for name in names if test(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{path!r} has several folders that can be the split {split!r}: "
                f"{listed(found)}. Give the name of one as the split."
            )
    raise UsageError(
        f"{path!r} has no split {split!r}: it has {listed(names)} "
        "(subsplits such as 'train[:10%]' require a TFDS data set)."
    )


def _class_names(
    roots: Sequence[str], extensions: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Names of subfolders with images in any of the folders, None if there are none."""
    names: set[str] = set()
    for root in roots:
        inside = {
            name
            for name in subfolders(root)
            if has_images_below(os.path.join(root, name), extensions)
        }
        _require_utf8(root, inside)
        if inside and has_images(root, extensions):
            raise _mixed(root)
        names |= inside
    return tuple(sorted(names)) or None


def _require_utf8(path: str, names: Iterable[str]) -> None:
    """Names of folders become names of classes, which are written into text files."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"The folder {os.path.join(path, name)!r} has a name that is not "
                "UTF-8: rename it."
            ) from error


def _mixed(path: str) -> UsageError:
    return UsageError(
        f"{path!r} has images both at the top and in subfolders: move them all into "
        "subfolders, one per class, or all to the top."
    )
