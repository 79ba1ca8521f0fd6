"""The number of images that a run trains on, even if they are not on this machine."""

from __future__ import annotations

import dataclasses

from ml_collections import ConfigDict

from bt_keras.augmentation import Views
from bt_keras.data import tfds_library
from bt_keras.data.source import Source
from bt_keras.errors import UsageError
from bt_keras.training import setup

_TFDS = "tfds:"
# The training splits of configs/, which may not be downloaded yet.
_TRAINING_IMAGES = {
    ("tfds:imagenet2012", "train"): 1_281_167,
    ("tfds:cifar10", "train"): 50_000,
    ("tfds:cifar100", "train"): 50_000,
    ("tfds:stl10", "unlabelled"): 100_000,
}


@dataclasses.dataclass(frozen=True)
class Images:
    """The training images of a plan.

    Attributes:
        count: Integer, their number.
        described: String, one line: where they are, or what was assumed.
        source: `Source`, or `None` if the images are not at hand.
        views: `Views`, the augmentation, or `None` as `source`.
    """

    count: int
    described: str
    source: Source | None = None
    views: Views | None = None


def find(config: ConfigDict, count: int | None = None, replicas: int = 1) -> Images:
    """Opens the training images of a config, or assumes their number.

    Nothing is downloaded.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        count: Integer, the number of images; then no image is looked at. Defaults to
            `None`.
        replicas: Integer > 0, the number of replicas that share a batch. Defaults to
            `1`.

    Returns:
        `Images`.

    Raises:
        UsageError: If they cannot be opened and their number is not known, or if the
            config does not fit them.
    """
    name = config.data.source
    if count is not None:
        images = Images(count, f"{count:,} images, as given; none was looked at")
    elif name.startswith(_TFDS) and not _is_prepared(name.removeprefix(_TFDS)):
        images = _assumed(config)
    else:
        source, views = setup.load_data(config, replicas)
        return Images(source.num_images, source.describe(), source, views)
    if images.count < config.batch_size:
        raise UsageError(
            f"config.batch_size is {config.batch_size}, but there are {images.count} "
            "images: give at most that many."
        )
    if config.batch_size % replicas:
        raise UsageError(
            f"config.batch_size is {config.batch_size}, which is not divisible by "
            f"{replicas} replicas: give a multiple of {replicas}."
        )
    setup.check_steps(config, images.count // config.batch_size, replicas)
    return images


def _is_prepared(dataset):
    tfds = tfds_library.load()
    try:
        return tfds.builder(dataset).is_prepared()
    except Exception:  # TFDS raises many kinds; opening it reports them in one line.
        return True


def _assumed(config):
    name, split = config.data.source, config.data.train_split
    count = _TRAINING_IMAGES.get((name, split))
    if count is None:
        raise UsageError(
            f"the split {split!r} of {name!r} is not on this machine: give the number "
            "of its images, --images=N."
        )
    return Images(count, f"{count:,} images, assumed: {name!r} is not on this machine")
