"""Make the shipped images from the four original Fashion-MNIST files.

    python -m bt_keras.data.shipped.make --idx DIR --out bt_keras/data/shipped

DIR holds train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the two t10k
files. The first images of each split are kept, in their original order.
"""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Iterator

import numpy as np
from absl import app, flags

NAME = "fashion_mnist_12k"
VERSION = "1.0.0"
# split -> (prefix of its files, number of images kept)
SPLITS = {"train": ("train", 10_000), "test": ("t10k", 2_000)}
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DESCRIPTION = (
    "The first 10,000 training and the first 2,000 test images of Fashion-MNIST: "
    "28x28 gray pictures of articles of clothing in ten classes. "
    "Copyright 2017 Zalando SE, MIT license."
)
CITATION = """\
@article{xiao2017fashion,
  author  = {Han Xiao and Kashif Rasul and Roland Vollgraf},
  title   = {Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
             Learning Algorithms},
  journal = {arXiv preprint arXiv:1708.07747},
  year    = {2017}
}"""


def read_idx(path: str) -> np.ndarray:
    """Reads a gzipped IDX file of unsigned bytes.

    Args:
        path: String. Path of the file.

    Returns:
        uint8 array of the shape given in the header.

    Raises:
        ValueError: If the file has another type or another number of values.
    """
    with gzip.open(path) as file:
        zeros, dtype, rank = struct.unpack(">HBB", file.read(4))
        if zeros != 0 or dtype != 0x08:
            raise ValueError(f"{path} is not an IDX file of unsigned bytes.")
        shape = struct.unpack(f">{rank}I", file.read(4 * rank))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def examples(idx: str, prefix: str, count: int) -> Iterator:
    """Yields (key, example) for the first `count` images of a split."""
    images = read_idx(os.path.join(idx, f"{prefix}-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(idx, f"{prefix}-labels-idx1-ubyte.gz"))
    for key in range(count):
        yield key, {"image": images[key][..., None], "label": int(labels[key])}


def make(idx: str, out: str, splits: dict | None = None) -> None:
    """Writes the shipped images as `out`/fashion_mnist_12k/1.0.0.

    Args:
        idx: String. Folder with the four original files.
        out: String. Folder to write to.
        splits: Dict from a split to (prefix of its files, number of images to keep).
            Defaults to `SPLITS`.
    """
    import tensorflow_datasets as tfds

    tfds.dataset_builders.store_as_tfds_dataset(
        name=NAME,
        version=VERSION,
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=CLASS_NAMES),
            }
        ),
        split_datasets={
            split: list(examples(idx, *files))
            for split, files in (splits or SPLITS).items()
        },
        data_dir=out,
        description=DESCRIPTION,
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        citation=CITATION,
        disable_shuffling=True,
    )


def main(argv):
    del argv
    make(_IDX.value, _OUT.value)


if __name__ == "__main__":
    _IDX = flags.DEFINE_string("idx", None, "Folder of the original files.")
    _OUT = flags.DEFINE_string("out", None, "Folder to write into.")
    flags.mark_flags_as_required(["idx", "out"])
    app.run(main)
