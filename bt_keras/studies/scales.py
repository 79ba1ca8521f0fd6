"""The sizes at which a study is made: images, network, and number of epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras.studies.study import Study

# Of a run: kNN and the linear probe on cached features.
EVALUATIONS = ("cached",)
# The names of runs are sorted: each seed is one digit.
MOST_SEEDS = 10


@dataclasses.dataclass(frozen=True)
class Scale:
    """The recipe of a study's baseline.

    Args:
        title: String, one line: what a run is.
        recipe: Function without arguments that returns the `ConfigDict`.
        omits: Set of strings, the names of variants that are the same as others in this
            recipe. Defaults to the empty set.
        trains: Boolean, whether runs are made, or only planned. Defaults to `True`.
    """

    title: str
    recipe: Callable[[], ConfigDict]
    omits: frozenset[str] = frozenset()
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


# Without blur in the recipe of views.
_NO_BLUR = frozenset({"crop_and_blur"})
SCALES = {
    "small": Scale(
        "5,000 of the shipped images of 28 pixels, 5 epochs", _small, _NO_BLUR
    ),
    "cifar": Scale("configs/cifar10.py", _cifar, _NO_BLUR),
    "imagenet": Scale("configs/default.py, 300 epochs", _imagenet, trains=False),
}


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
        if variant.name not in scale.omits:
            config = scale.recipe()
            config.seed = seed
            variant.apply(config)
            yield run_name(seed, variant.name), config
