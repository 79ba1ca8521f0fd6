"""Data sets of TensorFlow Datasets (TFDS) as sources."""

from __future__ import annotations

import difflib
import functools
import os
import re
import socket
import urllib.parse
import urllib.request

import numpy as np
import tensorflow as tf

from bt_keras.data import tfds_faults, tfds_library, tfds_records
from bt_keras.data.decode import decode_image
from bt_keras.data.source import NO_LABEL, Source, images_digest
from bt_keras.errors import UsageError, one_line
from bt_keras.files import storage

# Where tensorflow-datasets reads: on local disks and there.
_SCHEMES = ("", "gs", "s3", "az")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def find_directory(path: str) -> str | None:
    """Finds a data set in TFDS format.

    Args:
        path: String. A folder.

    Returns:
        `path`, or its only subfolder that is named like a version and contains a data
        set; None if there is no data set.

    Raises:
        UsageError: If there are several versions.
    """
    if storage.exists(os.path.join(path, "dataset_info.json")):
        return path
    versions = sorted(filter(_VERSION.fullmatch, storage.names(path)))
    found = [os.path.join(path, version) for version in versions]
    found = [folder for folder in found if storage.is_dir(folder)]
    found = [folder for folder in found if find_directory(folder)]
    if len(found) > 1:
        raise UsageError(
            f"{path!r} has several versions: give one of {', '.join(found)}."
        )
    return found[0] if found else None


def load_directory(
    path: str,
    split: str = "train",
    name: str | None = None,
    bits: int = 16,
    channels: int = 3,
) -> Source:
    """Loads a data set in TFDS format from disk, without network access.

    Args:
        path: String. The folder with dataset_info.json.
        split: String. A TFDS split or subsplit such as "train[:10%]". Defaults to
            `"train"`.
        name: String. Name of the source. Defaults to `path`.
        bits: Integer, 8 to 16, see `decode_image`. Defaults to `16`.
        channels: Integer, 1 to 16, see `decode_image`. Defaults to `3`.

    Returns:
        `Source`.

    Raises:
        UsageError: If the data set is incomplete or has no such split.
    """
    tfds = tfds_library.load()

    if storage.scheme(path) not in _SCHEMES:
        raise UsageError(
            f"{path!r} is a TFDS data set, which tensorflow-datasets reads from local "
            f"disks, {', '.join(f'{scheme}://' for scheme in _SCHEMES[1:])} only: copy "
            "it to one of these."
        )
    try:
        builder = tfds.builder_from_directory(path)
    except Exception as error:  # The parsers raise many kinds.
        raise tfds_faults.damaged_info(path, error) from error
    return _source(builder, split, name or path, bits, channels)


def load_named(
    dataset: str, split: str = "train", bits: int = 16, channels: int = 3
) -> Source:
    """Loads a data set by its TFDS name; downloads it at the first use.

    Args:
        dataset: String. A TFDS name, with or without configuration and version.
        split: String. A TFDS split or subsplit such as "train[:10%]". Defaults to
            `"train"`.
        bits: Integer, 8 to 16, see `decode_image`. Defaults to `16`.
        channels: Integer, 1 to 16, see `decode_image`. Defaults to `3`.

    Returns:
        `Source`.

    Raises:
        UsageError: If there is no such data set or split, or it cannot be downloaded.
    """
    tfds = tfds_library.load()

    builders = tfds.list_builders(with_community_datasets=False)
    if re.split("[/:]", dataset)[0] not in builders:
        names = {name: f"tfds:{name}" for name in builders}
        raise UsageError(
            f"TFDS has no data set {dataset!r}{similar_names(dataset, names)}: give "
            "one of tfds.list_builders()."
        )
    try:
        builder = tfds.builder(dataset)
    except Exception as error:  # TFDS raises AssertionError for a wrong version.
        reason = one_line(error, None)
        raise UsageError(f"'tfds:{dataset}' cannot be used: {reason}") from error
    if not builder.is_prepared():
        _download(builder, dataset)
    return _source(builder, split, f"tfds:{dataset}", bits, channels)


def similar_names(name: str, names: dict[str, str]) -> str:
    """Returns " (did you mean ...?)", or "" if there are no similar names.

    Args:
        name: String. Name as given by the user.
        names: Dict from the names to compare with to the names to show.
    """
    keys = difflib.get_close_matches(name, names, cutoff=0.7)
    similar = ", ".join(repr(names[key]) for key in keys)
    return f" (did you mean {similar}?)" if similar else ""


def _download(builder, dataset):
    hosts = {urllib.parse.urlsplit(url).hostname for url in builder.url_infos}
    # Without a network, TFDS retries for minutes. Data sets that must be downloaded
    # manually fail at once with instructions, and a proxy resolves names itself.
    direct = (
        not builder.MANUAL_DOWNLOAD_INSTRUCTIONS and not urllib.request.getproxies()
    )
    if hosts and direct and not any(map(_resolves, hosts)):
        raise UsageError(
            f"'tfds:{dataset}' is not in {str(builder.data_dir)!r} and cannot be "
            f"downloaded: no network (cannot find the host {min(hosts)})."
        )
    try:
        builder.download_and_prepare()
    except Exception as error:  # From the network, the disk or a missing package.
        raise UsageError(
            f"'tfds:{dataset}' cannot be downloaded and prepared: "
            f"{one_line(error, None)}"
        ) from error


def _resolves(host):
    try:
        return bool(socket.getaddrinfo(host, None))
    except OSError:
        return False


def _source(builder, split, name, bits, channels):
    tfds = tfds_library.load()

    info = builder.info
    try:
        split_info = info.splits[split]
    except (ValueError, KeyError) as error:
        if not info.splits:
            raise tfds_faults.damaged_info(str(builder.data_dir), error) from error
        raise UsageError(
            f"{name!r} has no split {split!r}: it has {', '.join(info.splits)}, and "
            "subsplits such as 'train[:10%]'."
        ) from error
    try:
        num_images, files = split_info.num_examples, split_info.file_instructions
    except Exception as error:  # Numbers of records that are none.
        raise tfds_faults.damaged_info(str(builder.data_dir), error) from error
    if not num_images:
        raise UsageError(
            f"The split {split!r} of {name!r} has no images: choose another split."
        )
    features = dict(info.features.items())
    image_shape = _image_shape(features, name, channels)
    label = features.get("label")
    has_labels = isinstance(label, tfds.features.ClassLabel)
    sides = [side for side in image_shape[:2] if side]

    def decode(record):
        image = decode_image(record["image"], bits, channels)
        label = record["label"] if has_labels else NO_LABEL
        return tf.ensure_shape(image, image_shape), tf.cast(label, tf.int64)

    sizes, times = zip(*tfds_faults.file_stats(info, split), strict=True)
    label_names, label_set = _label_set(features)
    return Source(
        name=name,
        split=split,
        num_images=num_images,
        image_shape=image_shape,
        label_names=label_names,
        label_set=label_set,
        records=functools.partial(tfds_records.records, builder, split),
        decode=decode,
        class_names=tuple(label.names) if has_labels else None,
        smallest_side=min(sides) if len(sides) == 2 else None,
        splits=tuple(info.splits),
        digest=images_digest(
            (os.path.basename(file.filename), size, file.skip, file.take)
            for file, size in zip(files, sizes, strict=True)
        ),
        times=times,
        find_fault=functools.partial(tfds_faults.find_fault, info, split, decode),
        ranges=tuple(
            (os.path.basename(file.filename), file.skip, file.skip + file.take)
            for file in files
        ),
    )


def _label_set(features):
    """Returns the names of the classes and the `label_set` of a `Source`.

    Classes that are only in `labels`, not in `labels_no_difficult`, are uncertain: VOC
    does not count objects that are difficult to see.
    """
    tfds = tfds_library.load()

    def classes(name):
        feature = getattr(features.get(name), "feature", None)
        return feature if isinstance(feature, tfds.features.ClassLabel) else None

    if classes("labels") is None:
        return (), None
    count = classes("labels").num_classes
    certain = (
        "labels" if classes("labels_no_difficult") is None else ("labels_no_difficult")
    )

    def occurs(labels):
        rows = tf.range(count, dtype=labels.dtype)[:, tf.newaxis]
        return tf.reduce_any(rows == labels, axis=1)

    def label_set(record):
        is_certain = occurs(record[certain])
        is_uncertain = occurs(record["labels"]) & ~is_certain
        return tf.cast(is_certain, tf.int8) - tf.cast(is_uncertain, tf.int8)

    return tuple(classes("labels").names), label_set


def _image_shape(features, name, channels):
    tfds = tfds_library.load()

    image = features.get("image")
    # Floating-point images are stored as PNG files of their bit patterns.
    is_image = isinstance(image, tfds.features.Image)
    if not is_image or np.issubdtype(image.np_dtype, np.floating):
        raise UsageError(
            f"{name!r} has no feature 'image' with integer images: its features are "
            f"{', '.join(features)}. Choose another data set."
        )
    fits = sorted({1, 3, image.shape[2]})  # Files become gray or RGB.
    if channels not in fits:
        raise UsageError(
            f"{name!r} has images (H, W, {image.shape[2]}), not (H, W, {channels}): "
            "config.data.channels (channels= of bt_keras.data.load) can be "
            f"{' or '.join(map(str, fits))}."
        )
    return (*image.shape[:2], channels)
