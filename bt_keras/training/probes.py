"""The callbacks of a run that measure its features."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import keras
from ml_collections import ConfigDict

from bt_keras.augmentation import Statistics
from bt_keras.callbacks import OnlineKNN, OnlineLinearProbe, RepresentationMonitor
from bt_keras.data.from_config import evaluation_size, open_source
from bt_keras.data.source import Source
from bt_keras.errors import UsageError, listed
from bt_keras.evaluation.frozen_features import center_crops
from bt_keras.evaluation.label_subsets import (
    balanced_subset,
    read_labels,
    take_subset,
)
from bt_keras.evaluation.labeled_splits import open_labeled
from bt_keras.training.validation import HeldOut


@dataclasses.dataclass(frozen=True)
class Probes:
    """What `config.callbacks` asks for.

    Args:
        makers: Tuple of functions without arguments, each of which makes a callback.
            Defaults to `()`.
        sources: Tuple of `Source`, the images that they read after an epoch. Defaults
            to `()`.
    """

    makers: tuple[Callable[[], keras.callbacks.Callback], ...] = ()
    sources: tuple[Source, ...] = ()

    def attach(self, model: keras.Model) -> list[keras.callbacks.Callback]:
        """Makes the callbacks of a model; they observe it from now on.

        A checkpoint restores their state then, and the step is traced with them.

        Args:
            model: `bt_keras.BarlowTwins`, compiled.

        Returns:
            List of `keras.callbacks.Callback`, for every `fit` of the model.
        """
        callbacks = [make() for make in self.makers]
        for callback in callbacks:
            callback.set_model(model)
        return callbacks


def from_config(
    config: ConfigDict,
    source: Source,
    held_out: HeldOut | None,
    statistics: Statistics,
    log_dir: Path,
) -> Probes:
    """Opens the labeled images of `config.callbacks` and checks them.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        source: `Source`, the training images.
        held_out: `HeldOut` of the run, or `None`.
        statistics: `Statistics` that the views are normalized with.
        log_dir: Path of the folder for TensorBoard.

    Returns:
        `Probes`.

    Raises:
        UsageError: If images have no labels, or those of two splits do not fit.
    """
    makers: list[Callable] = []
    sources: tuple[Source, ...] = ()
    if config.callbacks.linear_probe:
        _check_labels(source, held_out)
        rate = config.callbacks.linear_probe_learning_rate
        makers.append(functools.partial(OnlineLinearProbe, source.num_classes, rate))
    if config.callbacks.knn_every:
        sources = _bank_and_queries(config, source)
        bank, queries = (_center_crops(config, each, statistics) for each in sources)
        vote = config.evaluation.knn
        settings = {
            "every": config.callbacks.knn_every,
            "k": vote.k,
            "temperature": vote.temperature,
        }
        makers.append(functools.partial(OnlineKNN, bank, queries, **settings))
    if every := config.callbacks.monitor_every_steps:
        monitor = functools.partial(RepresentationMonitor, every, log_dir, statistics)
        makers.append(monitor)
    return Probes(tuple(makers), sources)


def _check_labels(source, held_out):
    purpose = "config.callbacks.linear_probe"
    source.require_labels(purpose)
    if held_out is None:
        return
    held_out.source.require_labels(purpose)
    ours, theirs = source.class_names, held_out.source.class_names
    if ours != theirs:
        raise UsageError(
            f"config.callbacks.linear_probe: the classes of {source.split!r} and "
            f"{held_out.source.split!r} of {source.name!r} differ: "
            f"{listed(ours)}; {listed(theirs)}."
        )


def _bank_and_queries(config, source):
    """Returns equal shares of every class of the training and the other images."""
    source.require_labels("config.callbacks.knn_every")
    train_split = config.data.train_split

    def open_split(split):
        return source if split == train_split else open_source(config, split)

    others = config.data.validation_split or config.data.test_split
    bank, queries = open_labeled(open_split, train_split, others)
    count, seed = config.callbacks.knn_images, config.seed
    return tuple(_subset(each, count, seed) for each in (bank, queries))


def _subset(source, count, seed):
    share = min(1.0, count / source.num_images)
    return take_subset(source, balanced_subset(read_labels(source), share, seed))


def _center_crops(config, source, statistics):
    size, ratio = evaluation_size(config), config.evaluation.resize_ratio
    resize, batch_size = round(size * ratio), config.evaluation.batch_size
    return center_crops(source, size, resize, batch_size, statistics).prefetch(2)
