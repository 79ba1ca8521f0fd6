"""The sizes at which a study is made: images, network, and number of epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from bt_keras.studies.study import Study

# Of a run: kNN and the linear probe on cached features.
EVALUATIONS = ("cached",)
_METHOD = "bt_keras.BarlowTwins"
# The names of runs are sorted: each seed is one digit.
MOST_SEEDS = 10


@dataclasses.dataclass(frozen=True)
class Scale:
    """The recipe of a study's baseline.

    Args:
        title: String, one line: what a run is.
        recipe: Function without arguments that returns a new `ConfigDict`.
        trains: Boolean, whether runs are made, or only planned. Defaults to `True`.
    """

    title: str
    recipe: Callable[[], ConfigDict]
    trains: bool = True


def _small():
    config = config_lib.load("demo")
    config.data.train_split = "train[:5000]"
    config.views.size = 28
    # Of 24 runs on 28 pixels (docs/scores.md), those with large crops were the best.
    config.views.a.crop_scale = config.views.b.crop_scale = (0.5, 1.0)
    config.epochs = 5
    # Several processes share a machine.
    config.threads = 1
    config.evaluation.linear.epochs = 20
    return config


def _cifar():
    return config_lib.load("cifar10")


def _imagenet():
    config = config_lib.default()
    config.epochs = 300
    return config


SCALES = {
    "small": Scale("5,000 of the shipped images of 28 pixels, 5 epochs", _small),
    "cifar": Scale("configs/cifar10.py", _cifar),
    "imagenet": Scale("configs/default.py, 300 epochs", _imagenet, trains=False),
}


def of_config(title: str, config: ConfigDict) -> Scale:
    """Makes the scale whose recipe is a config.

    Args:
        title: String, one line.
        config: `ConfigDict` with the fields of configs/default.py.

    Returns:
        `Scale`.

    Raises:
        UsageError: If the config has another method than Barlow Twins: variants change
            the method, and their baseline is Barlow Twins.

    Example:

    >>> from bt_keras.studies.scales import of_config
    >>> scale = of_config("demo", bt_keras.config.load("demo"))
    >>> scale.recipe().data.source
    'shipped'
    """
    method = config.method
    if method.name != _METHOD or method.options:
        raise UsageError(
            f"config.method is {method.name} with the options "
            f"{method.options.to_dict()}, but a study sets the method of its runs: "
            f"take a config of {_METHOD} without options."
        )
    return Scale(title, config.copy_and_resolve_references)


def run_name(seed: int, variant: str) -> str:
    """Returns the name of a run in a queue, which makes seed after seed."""
    return f"seed{seed}-{variant}"


def configs(study: Study, scale: Scale, seed: int) -> Iterator[tuple[str, ConfigDict]]:
    """Yields the name and the config of each run of a study with one seed.

    Args:
        study: `Study`.
        scale: `Scale`.
        seed: Integer >= 0, `config.seed` of the runs.

    Yields:
        Tuples `(name, config)`.

    Example:

    >>> from bt_keras.studies.catalog import STUDIES
    >>> from bt_keras.studies.scales import SCALES, configs
    >>> runs = dict(configs(STUDIES["lambd"], SCALES["small"], seed=1))
    >>> runs["seed1-lambd_0.02"].lambd
    0.02
    """
    for variant in study.variants:
        config = scale.recipe()
        if variant.applies(config):
            config.seed = seed
            variant.apply(config)
            yield run_name(seed, variant.name), config
