"""What a run trains on: its images, their views and its probes, opened and checked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras import data
from bt_keras.augmentation import Views
from bt_keras.data import sharding
from bt_keras.data.source import Source
from bt_keras.training import probes, setup
from bt_keras.training.probes import Probes
from bt_keras.training.sample_views import FirstPairs
from bt_keras.training.statistics import with_measured
from bt_keras.training.validation import HeldOut
from bt_keras.workdir import Workdir


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The config of a run and what it names.

    Args:
        config: `ConfigDict` with the fields of configs/default.py, and the statistics
            of the images if they are measured.
        source: `Source`, the training images.
        views: `Views`, the augmentation that makes two views of an image.
        held_out: `HeldOut`, the images whose loss is logged, or `None`.
        probes: `Probes`, the callbacks that measure the features.
        pairs: Function from `first_step` to the `tf.data.Dataset` that the run trains
            on.
    """

    config: ConfigDict
    source: Source
    views: Views
    held_out: HeldOut | None
    probes: Probes
    pairs: Callable[..., tf.data.Dataset]

    @property
    def steps_per_epoch(self) -> int:
        """Integer, training steps per epoch."""
        return self.source.steps_per_epoch(self.config.batch_size)

    def describe(self) -> list[str]:
        """Describes the images, one line for those of each split."""
        return [each.describe() for each in (self.source, self.held_out) if each]

    def first_pairs(self, strategy: tf.distribute.Strategy) -> FirstPairs:
        """Returns the first pairs of the run, which are not made yet.

        Args:
            strategy: `tf.distribute.Strategy` of the run.
        """
        config, source, views = self.config, self.source, self.views
        make = functools.partial(self.pairs, first_step=0)
        if (pipelines := sharding.num_input_pipelines(strategy)) > 1:
            # A distributed dataset belongs to all workers; the shapes are those of a
            # shard.
            rows = max(2, config.batch_size // pipelines)
            make = functools.partial(data.pairs, source, views, rows, config.seed)
        return FirstPairs(make, source.find_fault, views.statistics)


def open_inputs(
    config: ConfigDict, workdir: Workdir, strategy: tf.distribute.Strategy
) -> Inputs:
    """Opens the images of a config and checks that the config fits them.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        workdir: `Workdir` of the run, which is not changed.
        strategy: `tf.distribute.Strategy` of the run.

    Returns:
        `Inputs`.

    Raises:
        UsageError: If the workdir belongs to another run, or the images cannot be used.
    """
    workdir.check_config(config)
    replicas = strategy.num_replicas_in_sync
    config = with_measured(config, workdir, replicas)
    source, views = setup.load_data(config, replicas)
    held_out = setup.load_held_out(config, source, views, replicas)
    log_dir = workdir.tensorboard
    probing = probes.from_config(config, source, held_out, views.statistics, log_dir)
    pairs = _pairs(source, views, config)
    return Inputs(config, source, views, held_out, probing, pairs)


def _pairs(source: Source, views: Callable, config: ConfigDict) -> Callable:
    # Two calls in succession return one dataset, which is then traced once.
    return functools.lru_cache(maxsize=1)(
        functools.partial(
            data.pairs,
            source,
            views,
            config.batch_size,
            config.seed,
            endless=True,
            labels=setup.needs_labels(config),
        )
    )
