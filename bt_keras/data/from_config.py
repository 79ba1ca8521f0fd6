"""Open the images that a config names, and make its views."""

from __future__ import annotations

from ml_collections import ConfigDict

from bt_keras import augmentation
from bt_keras.augmentation.statistics import Statistics
from bt_keras.data.load import load
from bt_keras.data.source import Source


def open_source(
    config: ConfigDict, split: str | None = None, source: str | None = None
) -> Source:
    """Opens a split of the images of a config.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        split: String. Defaults to the config's training split.
        source: String. Name of other images, read with the settings of the config.
            Defaults to the config's.

    Returns:
        `Source`.

    Raises:
        UsageError: If there are no such images.
    """
    data = config.data
    return load(
        source or data.source,
        split or data.train_split,
        data.skip_corrupt,
        data.layout,
        data.bits,
        data.channels,
    )


def split_names(
    config: ConfigDict, train_split: str | None = None, test_split: str | None = None
) -> tuple[str, str]:
    """Returns the names of the splits to train on and to test on.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        train_split: Optional string. Defaults to `None`: that in the config.
        test_split: Optional string. Defaults to `None`: that in the config.
    """
    data = config.data
    return train_split or data.train_split, test_split or data.test_split


def evaluation_size(config: ConfigDict) -> int:
    """Returns the side in pixels of the images to evaluate.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
    """
    return config.evaluation.size or config.views.size


def statistics(config: ConfigDict) -> Statistics:
    """Returns the mean and the standard deviation of a config.

    Args:
        config: `ConfigDict` with the fields of configs/default.py, of a run if they are
            measured.
    """
    return Statistics(
        tuple(map(float, config.data.mean)), tuple(map(float, config.data.deviation))
    )


def views(
    config: ConfigDict, finish_on_device: bool | None = None
) -> augmentation.Views:
    """Makes the augmentation of a config.

    Args:
        config: `ConfigDict`, as for `statistics`.
        finish_on_device: Optional boolean, as for `bt_keras.views`. Defaults to `None`:
            as in the config.

    Returns:
        `Views`.
    """
    if finish_on_device is None:
        finish_on_device = config.views.finish_on_device
    return augmentation.views(
        config.views.size,
        config.views.recipe,
        statistics(config),
        **{name: {**config.views.get(name, {})} for name in "ab"},
        finish_on_device=finish_on_device,
    )


def with_statistics(config: ConfigDict, found: Statistics) -> ConfigDict:
    """Returns a copy of a config with another mean and standard deviation.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        found: `Statistics`, whose number of bands becomes that of the config, too.
    """
    config = config.copy_and_resolve_references()
    config.data.channels = found.channels
    config.data.mean = type(config.data.mean)(found.mean)
    config.data.deviation = type(config.data.deviation)(found.deviation)
    return config
