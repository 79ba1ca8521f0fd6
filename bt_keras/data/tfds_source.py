"""Data sets in the format of TensorFlow Datasets as sources."""

import difflib
import functools
import os
import re
import socket
import urllib.parse
import urllib.request

import numpy as np
import tensorflow as tf

from bt_keras.data.decode import decode_image
from bt_keras.data.shuffle import shuffle_blocks
from bt_keras.data.source import NO_LABEL, Source
from bt_keras.data.tfrecords import read_examples
from bt_keras.errors import UsageError, one_line

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def find_directory(path):
    """Finds a data set in TFDS format.

    Args:
        path: str. A folder.

    Returns:
        str, `path` or its only subfolder if that is named like a version and holds a
        data set; None if there is no data set.
    """
    if os.path.isfile(os.path.join(path, "dataset_info.json")):
        return path
    versions = sorted(filter(_VERSION.fullmatch, os.listdir(path)))
    found = [os.path.join(path, version) for version in versions]
    found = [folder for folder in found if os.path.isdir(folder)]
    found = [folder for folder in found if find_directory(folder)]
    if len(found) > 1:
        raise UsageError(
            f"{path!r} has several versions, name one: {', '.join(found)}."
        )
    return found[0] if found else None


def load_directory(path, split="train", name=None):
    """Loads a data set in TFDS format from disk; touches no network.

    Args:
        path: str. The folder with dataset_info.json.
        split: str. A TFDS split, or part of one such as "train[:10%]".
        name: str. What to call it, by default the path.

    Returns:
        Source.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(path)
    except Exception as error:  # Whatever the parsers of its files raise.
        raise UsageError(
            f"{path!r} is not a whole TFDS data set: {one_line(error, None)}"
        ) from error
    return _source(builder, split, name or path)


def load_named(dataset, split="train"):
    """Loads one of the data sets that TFDS knows, after downloading it if need be.

    Args:
        dataset: str. A TFDS name, perhaps with a configuration and a version.
        split: str. A TFDS split, or part of one such as "train[:10%]".

    Returns:
        Source.
    """
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    if re.split("[/:]", dataset)[0] not in known:
        raise UsageError(
            f"TFDS has no data set {dataset!r}"
            f"{near_names(dataset, {name: f'tfds:{name}' for name in known})}."
        )
    try:
        builder = tfds.builder(dataset)
    except Exception as error:  # TFDS raises AssertionError for a wrong version.
        reason = one_line(error, None)
        raise UsageError(f"'tfds:{dataset}' cannot be used: {reason}") from error
    if not builder.is_prepared():
        _download(builder, dataset)
    return _source(builder, split, f"tfds:{dataset}")


def near_names(word, names):
    """Returns " (near names: ...)", or "" if there are none.

    Args:
        word: str. What the user wrote.
        names: dict from what is compared with it to what is shown.
    """
    near = [names[key] for key in difflib.get_close_matches(word, names, cutoff=0.7)]
    return f" (near names: {', '.join(map(repr, near))})" if near else ""


def _download(builder, dataset):
    hosts = {urllib.parse.urlsplit(url).hostname for url in builder.url_infos}
    # TFDS tries for minutes before it gives up on a machine without a network. What
    # must be downloaded by hand fails at once, with instructions.
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


def _source(builder, split, name):
    import tensorflow_datasets as tfds

    info = builder.info
    try:
        part = info.splits[split]
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"{name!r} has no split {split!r}: it has {', '.join(info.splits)}, and "
            "parts of them such as 'train[:10%]'."
        ) from error
    if not part.num_examples:
        raise UsageError(f"The split {split!r} of {name!r} has no images.")
    features = dict(info.features.items())
    image_shape = _image_shape(features, name)
    label = features.get("label")
    has_labels = isinstance(label, tfds.features.ClassLabel)
    sides = [side for side in image_shape[:2] if side]

    def decode(record):
        image = tf.ensure_shape(decode_image(record["image"]), image_shape)
        label = record["label"] if has_labels else NO_LABEL
        return image, tf.cast(label, tf.int64)

    return Source(
        name=name,
        split=split,
        num_images=part.num_examples,
        image_shape=image_shape,
        records=functools.partial(_records, builder, split),
        decode=decode,
        class_names=tuple(label.names) if has_labels else None,
        smallest_side=min(sides) if len(sides) == 2 else None,
    )


def _image_shape(features, name):
    import tensorflow_datasets as tfds

    image = features.get("image")
    # Floating-point pictures are stored as PNG of their bit patterns.
    is_picture = isinstance(image, tfds.features.Image)
    if not is_picture or np.issubdtype(image.np_dtype, np.floating):
        raise UsageError(
            f"{name!r} has no feature 'image' that holds pictures: its features are "
            f"{', '.join(features)}."
        )
    return (*image.shape[:2], 3)


def _records(builder, split, shuffle_seed=None, first=0):
    read = functools.partial(_read, builder, split, shuffle_seed)
    if shuffle_seed is None:
        return read(first)
    info = builder.info
    whole = info.splits[re.split(r"[\[+]", split)[0]]
    bytes_each = whole.num_bytes // max(1, whole.num_examples)
    num_images = info.splits[split].num_examples
    return shuffle_blocks(read, num_images, bytes_each, shuffle_seed, first)


def _read(builder, split, shuffle_seed, first):
    """Records with the image undecoded: in file order, or files in shuffled order."""
    import tensorflow_datasets as tfds

    info, decoders = builder.info, {"image": tfds.decode.SkipDecoding()}
    if info.file_format != tfds.core.FileFormat.TFRECORD:
        in_order = tfds.ReadConfig(try_autocache=False, interleave_cycle_length=1)
        dataset = builder.as_dataset(split, decoders=decoders, read_config=in_order)
        return dataset.skip(first)
    # TFDS can shuffle files too, but by a seed that it wants to know beforehand.
    examples = read_examples(info.splits[split].file_instructions, shuffle_seed, first)
    return examples.map(
        lambda example: info.features.deserialize_example(example, decoders=decoders),
        tf.data.AUTOTUNE,
    )
