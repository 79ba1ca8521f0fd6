"""Load sources of images by name."""

from __future__ import annotations

import os

import tensorflow as tf

from bt_keras import checks
from bt_keras.data import folder, tfds_library, tfds_source
from bt_keras.data.from_dataset import from_dataset
from bt_keras.data.layout import LAYOUTS
from bt_keras.data.source import Source
from bt_keras.errors import UsageError
from bt_keras.files import storage

__all__ = ["from_dataset", "load"]

SHIPPED = os.path.join(
    os.path.dirname(__file__), "shipped", "fashion_mnist_12k", "1.0.0"
)


def load(
    source: str | os.PathLike | Source | tf.data.Dataset,
    split: str = "train",
    skip_corrupt: bool = False,
    layout: str = "auto",
    bits: int = 16,
    channels: int | None = None,
) -> Source:
    """Loads a source of images by its name.

    Args:
        source: One of

            - `"shipped"`: the images that come with the library (Fashion-MNIST, 10,000
              for training, 2,000 for testing);
            - `"tfds:NAME"`: a data set of TensorFlow Datasets, such as
              `"tfds:cifar10"`, downloaded at the first use;
            - the path of a data set in TFDS format, which may be remote, such as
              `"gs://bucket/data"`, as the following;
            - the path of a folder of JPEG, PNG, BMP, GIF, WebP and TIFF files, or of
              NumPy's .npy files, with one subfolder per class, or without subfolders
              (then there are no labels);
            - a `Source`, which is returned unchanged;
            - a `tf.data.Dataset`, see `from_dataset`.
        split: `"train"`, `"test"` or another split of the data set; with TFDS also
            subsplits such as `"train[:10%]"`. Folders for splits are found under any
            common name in any case (`"val"`, `"Validation"`); without a folder for
            testing, `"test"` is the one for validation, and vice versa. A folder
            without subfolders for splits has the split `"train"` only. Defaults to
            `"train"`.
        skip_corrupt: Boolean. Whether to leave out files of a folder that cannot be
            decoded. Defaults to `False`.
        layout: String. Whether the subfolders of a folder are `"classes"` or
            `"splits"`; `"auto"` decides by their names, and raises an error where
            these allow both. Defaults to `"auto"`.
        bits: Integer, 8 to 16. Number of significant bits of images with more than 8
            bits, such as `12` for X-rays: values are divided by `2 ** (bits - 8)`.
            Defaults to `16`.
        channels: Integer, 1 to 16, the number of bands. With 3, gray files are
            repeated three times; with 1, files in color are converted to gray; with
            any other, all files must have as many bands: TIFF files (interleaved or as
            pages), .npy files of (H, W, C), or PNG files with an alpha channel.
            Defaults to `None`: the bands of a `tf.data.Dataset`, otherwise 3.

    Returns:
        `Source`.

    Raises:
        UsageError: If there is no such source or split, or it cannot be read.

    Example:

    >>> source = bt_keras.data.load("shipped", "test")
    >>> source.num_images, source.image_shape, source.num_classes
    (2000, (28, 28, 3), 10)
    """
    checks.choice("layout", layout, LAYOUTS)
    bits = checks.number("bits", bits, checks.BITS)
    if channels is not None:
        channels = checks.number("channels", channels, checks.CHANNELS)
    if isinstance(source, Source):
        return source
    if isinstance(source, tf.data.Dataset):
        return from_dataset(source, bits=bits, channels=channels)
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            f"A source of images is a {type(source).__name__}: give a name, a path, a "
            "Source or a tf.data.Dataset."
        )
    name = os.fspath(source)
    if name == "shipped":
        return tfds_source.load_directory(SHIPPED, split, name, bits, channels or 3)
    if name.startswith("tfds:"):
        dataset = name.removeprefix("tfds:")
        return tfds_source.load_named(dataset, split, bits, channels or 3)
    return _load_path(name, split, skip_corrupt, layout, bits, channels or 3)


def _load_path(path, split, skip_corrupt, layout, bits, channels):
    expanded = os.path.expanduser(path)
    try:
        if not storage.exists(expanded):
            raise _unknown(path, expanded)
        if not storage.is_dir(expanded):
            raise UsageError(f"{path!r} is a file: give the folder of the images.")
        directory = tfds_source.find_directory(expanded)
        if directory:
            return tfds_source.load_directory(directory, split, path, bits, channels)
        return folder.load_folder(expanded, split, skip_corrupt, layout, bits, channels)
    except OSError as error:
        raise UsageError(f"{path!r} cannot be read: {error}.") from error


def _unknown(source, path):
    """Returns the error for an unknown name, with similar names."""
    tfds = tfds_library.load()

    parent, last = os.path.split(path.rstrip("/"))
    names = {name: os.path.join(parent, name) for name in _list(parent or ".")}
    if not parent:
        builders = tfds.list_builders(with_community_datasets=False)
        names = {name: f"tfds:{name}" for name in builders} | names
        names["shipped"] = "shipped"
    similar = tfds_source.similar_names(last, names)
    return UsageError(
        f"There is no source of images {source!r}{similar}: "
        "give 'shipped', 'tfds:NAME' or the path of a folder."
    )


def _list(path):
    try:
        return sorted(name for name in storage.names(path) if not name.startswith("."))
    except OSError:
        return []
