"""From the name of a source to its images: the one way to name a data set."""

import os

import tensorflow as tf

from bt_keras.data import folder, tfds_source
from bt_keras.data.from_dataset import from_dataset
from bt_keras.data.source import Source
from bt_keras.errors import UsageError

__all__ = ["from_dataset", "load"]

SHIPPED = os.path.join(
    os.path.dirname(__file__), "shipped", "fashion_mnist_12k", "1.0.0"
)


def load(source, split="train", skip_corrupt=False):
    """Loads the images that a name stands for.

    Args:
        source: str, one of
            - "shipped": the images that come with the library (Fashion-MNIST, 10,000
              for training, 2,000 for testing);
            - "tfds:NAME": a data set of TensorFlow Datasets, such as "tfds:cifar10",
              downloaded with its progress bar if it is not there yet;
            - the path of a data set in TFDS format;
            - the path of a folder of JPEG, PNG, BMP and GIF files, one subfolder a
              class, or without subfolders (then there are no labels);
            or a `Source`, returned as it is, or a `tf.data.Dataset`, see
            `from_dataset`.
        split: str. "train", "test" or what the data set has; for TFDS also parts such
            as "train[:10%]". A folder without subfolders for splits is all "train".
        skip_corrupt: bool. Leave out the files of a folder that cannot be decoded.

    Returns:
        Source.

    Raises:
        UsageError: If there is no such source or split, or it cannot be read.

    Example:
        >>> source = load("shipped", "test")
        >>> source.num_images, source.image_shape, source.num_classes
        (2000, (28, 28, 3), 10)
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, tf.data.Dataset):
        return from_dataset(source)
    if not isinstance(source, str | os.PathLike):
        raise UsageError(
            "A source of images is a name, a path, a Source or a tf.data.Dataset, not "
            f"{type(source).__name__}."
        )
    name = os.fspath(source)
    if name == "shipped":
        return tfds_source.load_directory(SHIPPED, split, name)
    if name.startswith("tfds:"):
        return tfds_source.load_named(name.removeprefix("tfds:"), split)
    return _load_path(name, split, skip_corrupt)


def _load_path(path, split, skip_corrupt):
    expanded = os.path.expanduser(path)
    if not os.path.exists(expanded):
        raise _unknown(path, expanded)
    if not os.path.isdir(expanded):
        raise UsageError(f"{path!r} is a file: name the folder that the images are in.")
    try:
        directory = tfds_source.find_directory(expanded)
        if directory:
            return tfds_source.load_directory(directory, split, path)
        return folder.load_folder(expanded, split, skip_corrupt)
    except OSError as error:
        raise UsageError(f"{path!r} cannot be read: {error}.") from error


def _unknown(name, path):
    """The error for a name that is none, with names near it."""
    import tensorflow_datasets as tfds

    parent, last = os.path.split(path.rstrip("/"))
    names = {near: os.path.join(parent, near) for near in _list(parent or ".")}
    if not parent:
        known = tfds.list_builders(with_community_datasets=False)
        names = {near: f"tfds:{near}" for near in known} | names
        names["shipped"] = "shipped"
    return UsageError(
        f"There is no source of images {name!r}{tfds_source.near_names(last, names)}: "
        "give 'shipped', 'tfds:NAME' or the path of a folder."
    )


def _list(path):
    try:
        return sorted(name for name in os.listdir(path) if not name.startswith("."))
    except OSError:
        return []
