"""Folders of image files as sources."""

from __future__ import annotations

import functools
import os

import tensorflow as tf
from absl import logging

from bt_keras.data import folder_checks, folder_faults, image_files
from bt_keras.data.decode import decode_image, fingerprint
from bt_keras.data.folder_index import check_files
from bt_keras.data.image_files import count_text
from bt_keras.data.layout import find_layout
from bt_keras.data.shuffle import epoch_order
from bt_keras.data.source import NO_LABEL, Source, common_shape, images_digest
from bt_keras.errors import UsageError


def load_folder(
    path: str,
    split: str = "train",
    skip_corrupt: bool = False,
    layout: str = "auto",
    bits: int = 16,
    channels: int = 3,
) -> Source:
    """Loads a folder of JPEG, PNG, BMP, GIF, WebP and TIFF, or of .npy files.

    The folder contains the images (without labels), or one subfolder per class (with
    images at any depth), or one subfolder per split, such as train and val, each of
    which has one of these two layouts; see `find_layout`. Classes are numbered in the
    order of their names over all splits, so that labels agree between splits. Hidden
    files are ignored, files of other kinds are counted. Each new or changed file is
    decoded to check it, see `folder_index`.

    Args:
        path: String. The folder.
        split: String. A folder without splits has the split "train" only. Defaults to
            `"train"`.
        skip_corrupt: Boolean. Whether to leave out files that cannot be decoded.
            Defaults to `False`.
        layout: String, `"auto"`, `"classes"` or `"splits"`. Defaults to `"auto"`.
        bits: Integer, 8 to 16, see `decode_image`. Defaults to `16`.
        channels: Integer, 1 to 16, see `decode_image`. Defaults to `3`.

    Returns:
        `Source`.

    Raises:
        UsageError: If there is no such split, no image, a corrupt file, images
            both at the top and in subfolders, a file with another number of bands, or
            values that exceed `bits`.
    """
    extensions = image_files.extensions_in(path)
    found = find_layout(path, split, layout, extensions)
    left_out: dict[str, list[str]] = {}
    files = _files(found, left_out, extensions)
    counts = image_files.count_kinds(left_out)
    if not files:
        others = f" ({count_text(counts)})" if counts else ""
        raise UsageError(
            f"{found.root!r} has no images{others}: put "
            f"files with the extensions {', '.join(image_files.EXTENSIONS)} there, or "
            "into one subfolder per class."
        )
    files, infos, num_skipped = _readable(files, found.root, skip_corrupt, channels)
    folder_checks.check_bits(found.root, files, infos, bits)
    folder_checks.warn(path, found, files, left_out)
    if channels == 3:
        folder_checks.warn_about_pages(found.root, files)
    if layout == "auto" and not found.splits:
        folder_checks.warn_about_possible_splits(found.root, files)
    return _source(
        files,
        infos,
        bits,
        channels,
        name=path,
        split=split,
        class_names=found.class_names,
        num_skipped=num_skipped,
        place=found.root,
        splits=found.splits,
        left_out=counts,
    )


def _files(found, left_out, extensions):
    """Returns (path, label) of all image files of a split."""
    if found.class_names is None:
        files = image_files.in_order(found.root, left_out, extensions)
        return [(file, NO_LABEL) for file in files]
    labels = {name: label for label, name in enumerate(found.class_names)}
    image_files.note_left_out(found.root, left_out, extensions)
    return [
        (file, labels[name])
        for name in image_files.subfolders(found.root)
        for file in image_files.in_order(
            os.path.join(found.root, name), left_out, extensions
        )
    ]


def _source(files, infos, bits, channels, **about):
    columns = {
        "path": tf.constant([os.fsencode(file) for file, _ in files]),
        "label": tf.constant([label for _, label in files], tf.int64),
        "fingerprint": tf.constant([info.fingerprint for info in infos], tf.int64),
    }
    image_shape = common_shape([(info.height, info.width) for info in infos], channels)
    root = about["place"]

    def records(shuffle_seed=None, first=0):
        order = tf.range(len(files))
        if shuffle_seed is not None:
            order = epoch_order(len(files), shuffle_seed)
        order = order[first:]
        table = {name: tf.gather(column, order) for name, column in columns.items()}
        return tf.data.Dataset.from_tensor_slices(table)

    def decode(record):
        image = decode_image(_read(record, image_shape, bits), bits, channels)
        return tf.ensure_shape(image, image_shape), record["label"]

    prefix = len(os.fsencode(os.path.join(root, "")))
    return Source(
        num_images=len(files),
        image_shape=image_shape,
        records=records,
        decode=decode,
        smallest_side=min(min(info.height, info.width) for info in infos),
        digest=images_digest(
            (file[len(root) :].lstrip(os.sep).replace(os.sep, "/"), info.num_bytes)
            for (file, _), info in zip(files, infos, strict=True)
        ),
        find_fault=functools.partial(
            folder_faults.find_fault, [file for file, _ in files], image_shape, bits
        ),
        fingerprints=columns["fingerprint"].numpy(),
        file_name=lambda record: tf.strings.substr(record["path"], prefix, -1),
        **about,
    )


def _read(record, image_shape, bits):
    """Reads a file; one whose contents have changed is checked, to name its path."""
    contents = tf.io.read_file(record["path"])

    def check(path, contents):
        path = os.fsdecode(path)
        if fault := folder_faults.fault(path, image_shape, bits, contents):
            raise UsageError(fault)
        return True

    # TensorFlow's decoders do not name the file, and Python would slow down all files.
    checked = tf.cond(
        fingerprint(contents) == record["fingerprint"],
        lambda: True,
        lambda: tf.numpy_function(check, [record["path"], contents], tf.bool),
    )
    with tf.control_dependencies([checked]):
        return tf.identity(contents)


def _readable(files, root, skip_corrupt, channels):
    """Checks all files; returns the readable ones, their infos, and how many others."""
    infos = check_files(root, [file for file, _ in files], channels)
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
