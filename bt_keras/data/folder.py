"""Folders of image files as sources: their splits, classes and corrupt files."""

from __future__ import annotations

import os

import tensorflow as tf
from absl import logging

from bt_keras.data.decode import check_image, decode_image, fingerprint
from bt_keras.data.folder_index import check_files
from bt_keras.data.shuffle import epoch_order
from bt_keras.data.source import NO_LABEL, Source, common_shape
from bt_keras.errors import UsageError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
SPLIT_NAMES = frozenset({"train", "test", "val", "validation", "unlabeled"})


def load_folder(path: str, split: str = "train", skip_corrupt: bool = False) -> Source:
    """Loads a folder of JPEG, PNG, BMP and GIF files.

    The folder contains the images (without labels), or one subfolder per class (with
    images at any depth), or one subfolder per split, such as train and val, each of
    which has one of these two layouts. Classes are numbered in the order of their names
    over all splits, so that labels agree between splits. Hidden files and files with
    other extensions are ignored. Each new or changed file is decoded to check it, see
    `folder_index`.

    Args:
        path: String. The folder.
        split: String. A folder without splits has the split "train" only. Defaults to
            `"train"`.
        skip_corrupt: Boolean. Whether to leave out files that cannot be decoded.
            Defaults to `False`.

    Returns:
        `Source`.

    Raises:
        UsageError: If there is no such split, no image, a corrupt file, or images
            both at the top and in subfolders.
    """
    root, class_names = _choose_split(path, split)
    if class_names is None:
        files = [(file, NO_LABEL) for file in _images_below(root)]
    else:
        files = [
            (file, label)
            for label, name in enumerate(class_names)
            for file in _images_below(os.path.join(root, name))
        ]
    if not files:
        raise UsageError(
            f"{root!r} has no images: put files with the extensions "
            f"{', '.join(EXTENSIONS)} there, or into one subfolder per class."
        )
    files, infos, num_skipped = _readable(files, root, skip_corrupt)
    return _source(path, split, files, infos, class_names, num_skipped)


def _source(path, split, files, infos, class_names, num_skipped):
    columns = {
        "path": tf.constant([os.fsencode(file) for file, _ in files]),
        "label": tf.constant([label for _, label in files], tf.int64),
        "fingerprint": tf.constant([info.fingerprint for info in infos], tf.int64),
    }
    image_shape = common_shape([(info.height, info.width) for info in infos])

    def records(shuffle_seed=None, first=0):
        order = tf.range(len(files))
        if shuffle_seed is not None:
            order = epoch_order(len(files), shuffle_seed)
        order = order[first:]
        table = {name: tf.gather(column, order) for name, column in columns.items()}
        return tf.data.Dataset.from_tensor_slices(table)

    def decode(record):
        image = decode_image(_read(record, image_shape))
        return tf.ensure_shape(image, image_shape), record["label"]

    return Source(
        name=path,
        split=split,
        num_images=len(files),
        image_shape=image_shape,
        records=records,
        decode=decode,
        class_names=class_names,
        num_skipped=num_skipped,
        smallest_side=min(min(info.height, info.width) for info in infos),
    )


def _read(record, image_shape):
    """Reads a file; one whose contents have changed is checked, to name its path."""
    contents = tf.io.read_file(record["path"])

    def check(path, contents):
        size, problem = check_image(contents)
        if size and not tf.TensorShape(image_shape[:2]).is_compatible_with(size):
            problem = f"has height and width {size}, not {image_shape[:2]}"
        if problem:
            raise UsageError(
                f"{os.fsdecode(path)!r} {problem}; it has changed since the start. "
                "Restore or remove it, and start again."
            )
        return True

    # TensorFlow's decoders do not name the file, and Python would slow down all files.
    checked = tf.cond(
        fingerprint(contents) == record["fingerprint"],
        lambda: True,
        lambda: tf.numpy_function(check, [record["path"], contents], tf.bool),
    )
    with tf.control_dependencies([checked]):
        return tf.identity(contents)


def _choose_split(path, split):
    """Returns the folder of the split, and its class names or None."""
    subfolders = _subfolders(path)
    if not _are_splits(subfolders):
        if split != "train":
            raise UsageError(
                f"{path!r} has no split {split!r}: a folder without subfolders such as "
                "train and val has the split 'train' only, and subsplits such as "
                "'train[:10%]' require a TFDS data set."
            )
        return path, _class_names([path])
    if split not in subfolders:
        raise UsageError(
            f"{path!r} has no split {split!r}: it has {', '.join(subfolders)} "
            "(subsplits such as 'train[:10%]' require a TFDS data set)."
        )
    if _has_images(path):
        raise _mixed_layout(path)
    root = os.path.join(path, split)
    # A class that is missing in one split must not change the labels of others.
    roots = [os.path.join(path, name) for name in subfolders]
    return root, _class_names([root, *roots]) if _class_names([root]) else None


def _are_splits(subfolders):
    names = set(subfolders)
    if names <= SPLIT_NAMES:
        return bool(names)
    return "train" in names and bool(names & (SPLIT_NAMES - {"train"}))


def _class_names(roots):
    """Names of subfolders with images in any of the folders, None if there are none."""
    names = set()
    for root in roots:
        inside = {
            name
            for name in _subfolders(root)
            if next(_walk(os.path.join(root, name)), None)
        }
        if inside and _has_images(root):
            raise _mixed_layout(root)
        names |= inside
    return tuple(sorted(names)) or None


def _mixed_layout(path):
    return UsageError(
        f"{path!r} has images both at the top and in subfolders: move them all into "
        "subfolders, one per class, or all to the top."
    )


def _subfolders(path):
    with os.scandir(path) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".")
        )


def _has_images(path):
    with os.scandir(path) as entries:
        return any(_is_image(entry.name) and entry.is_file() for entry in entries)


def _is_image(name):
    return not name.startswith(".") and name.lower().endswith(EXTENSIONS)


def _images_below(path):
    return sorted(_walk(path))


def _walk(path):
    """Yields image files at any depth. Follows links, but visits each folder once."""
    seen = set()
    for folder, subfolders, names in os.walk(path, onerror=_report, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
        yield from (os.path.join(folder, name) for name in names if _is_image(name))


def _report(error):
    """Without it, `os.walk` skips a folder that it cannot read, and so its class."""
    if not isinstance(error, FileNotFoundError):  # A split may lack a class.
        raise error


def _readable(files, root, skip_corrupt):
    """Checks all files; returns the readable ones, their infos, and how many others."""
    infos = check_files(root, [file for file, _ in files])
    bad = [(f, i.problem) for (f, _), i in zip(files, infos, strict=True) if i.problem]
    if not bad:
        return files, infos, 0
    first, problem = os.path.relpath(bad[0][0], root), bad[0][1]
    if len(bad) == len(files):
        raise UsageError(f"{root!r} has no readable image ({first!r} {problem}).")
    if not skip_corrupt:
        more = f", and {len(bad) - 1} more files cannot be read" if bad[1:] else ""
        raise UsageError(
            f"{first!r} in {root!r} {problem}{more}. Repair or remove it, or "
            "leave such files out with skip_corrupt=True "
            "(--config.data.skip_corrupt=True)."
        )
    logging.warning(
        "Left out %d of the %d files in %r, which cannot be read: %r %s.",
        len(bad),
        len(files),
        root,
        first,
        problem,
    )
    pairs = zip(files, infos, strict=True)
    readable = [(file, info) for file, info in pairs if not info.problem]
    return [f for f, _ in readable], [i for _, i in readable], len(bad)
