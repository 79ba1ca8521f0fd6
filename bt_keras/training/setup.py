"""Build the data and the model of a run from its config."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from absl import logging
from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras import data, optimizers
from bt_keras.augmentation import Views
from bt_keras.data.from_config import open_source
from bt_keras.data.from_config import views as make_views
from bt_keras.data.shared_images import check_disjoint
from bt_keras.data.source import Source
from bt_keras.distribution import devices, threads
from bt_keras.errors import UsageError
from bt_keras.model.barlow_twins import BarlowTwins
from bt_keras.model.from_config import build_model, method_class
from bt_keras.training.validation import HeldOut


def apply(config: ConfigDict) -> None:
    """Checks a config, and applies its settings that concern the whole process.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.

    Raises:
        UsageError: If no run could use a value.
    """
    config_lib.check(config)
    threads.limit(config.threads)
    if config.precision == "mixed_bfloat16" and devices.bfloat16_is_emulated():
        logging.warning(
            "config.precision is mixed_bfloat16, which this CPU can only emulate, "
            "several times slower than float32."
        )
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def load_data(config: ConfigDict, replicas: int = 1) -> tuple[Source, Views]:
    """Opens the training images and checks that the config fits them.

    Args:
        config: `ConfigDict` with the fields of configs/default.py, after
            `with_measured`.
        replicas: Integer > 0, the number of replicas that share a batch. Defaults to
            `1`.

    Returns:
        `(source, views)`: the images, and the augmentation that makes two views of an
        image.

    Raises:
        UsageError: If there are no such images, or a batch, a microbatch or the steps
            of an execution do not fit them.
    """
    source = open_source(config)
    views = make_views(config)
    data.check(source, views, config.batch_size, replicas)
    check_steps(config, source.steps_per_epoch(config.batch_size), replicas)
    if method_class(config).needs_labels:
        _check_labels_of_method(config, source)
    return source, views


def needs_labels(config: ConfigDict) -> bool:
    """Returns whether batches have labels: for the probe, or for the method.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
    """
    return config.callbacks.linear_probe or method_class(config).needs_labels


def check_steps(config: ConfigDict, steps_per_epoch: int, replicas: int = 1) -> None:
    """Checks that executions and micro-batches divide an epoch and a batch.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        steps_per_epoch: Integer > 0, training steps per epoch.
        replicas: Integer > 0, the number of replicas that share a batch. Defaults to
            `1`.

    Raises:
        UsageError: If they do not.
    """
    _check_steps_per_execution(config.steps_per_execution, steps_per_epoch)
    _check_microbatches(config.microbatches, config.batch_size, replicas)


def load_held_out(
    config: ConfigDict, source: Source, views: Callable, replicas: int = 1
) -> HeldOut | None:
    """Opens the images of `config.data.validation_split`.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        source: `Source`, the training images.
        views: The augmentation of the run.
        replicas: Integer > 0, the number of replicas that share a batch. Defaults to
            `1`.

    Returns:
        `HeldOut`, or `None` if the config names no split.

    Raises:
        UsageError: If there is no such split, it has too few images for a batch, or
            some are training images.
    """
    split = config.data.validation_split
    if not split:
        return None
    held_out = open_source(config, split)
    check_disjoint(
        held_out,
        source,
        lambda shared: (
            f"config.data.validation_split is {split!r}, but the run trains on "
            f"{shared} of its {held_out.num_images} images (config.data.train_split is "
            f"{source.split!r}): name another split."
        ),
    )
    # A smaller batch has a larger redundancy term, so all batches have one size.
    batch_size = min(config.batch_size, held_out.num_images // replicas * replicas)
    if batch_size < 2:
        raise UsageError(
            f"config.data.validation_split is {split!r}, which has "
            f"{held_out.num_images} images: the loss of {replicas} replicas needs at "
            f"least {max(2, replicas)}."
        )
    data.check(held_out, views, batch_size, replicas)
    if batch_size < config.batch_size:
        logging.warning(
            "The split %r has %d images, fewer than config.batch_size: its loss is "
            "computed on a batch of %d, and cannot be compared with the training loss, "
            "only between epochs.",
            split,
            held_out.num_images,
            batch_size,
        )
    if method_class(config).needs_labels:
        _check_labels_of_method(config, held_out)
    labels = needs_labels(config)
    return HeldOut(held_out, views, batch_size, config.seed, labels)


def new_model(config: ConfigDict, steps_per_epoch: int) -> BarlowTwins:
    """Builds and compiles the model of a config, with its initial weights.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.
        steps_per_epoch: Integer > 0, training steps per epoch.

    Returns:
        `bt_keras.BarlowTwins`, compiled.
    """
    model = build_model(config)
    model.compile(
        optimizer=optimizers.build(config, steps_per_epoch),
        steps_per_execution=config.steps_per_execution,
    )
    return model


def _check_labels_of_method(config: ConfigDict, source: Source) -> None:
    source.require_labels(f"the method {config.method.name}", some=True)
    expected = config.method.options.get("num_classes", source.num_classes)
    if expected != source.num_classes:
        raise UsageError(
            f"config.method.options.num_classes is {expected}, but the images of "
            f"{source.name!r} have {source.num_classes} classes."
        )


def _check_steps_per_execution(steps: int, steps_per_epoch: int) -> None:
    # Keras would train beyond the end of the epoch.
    if steps_per_epoch % steps:
        numbers = range(1, steps_per_epoch + 1)
        divisors = [n for n in numbers if steps_per_epoch % n == 0]
        raise UsageError(
            f"config.steps_per_execution is {steps}, which does not divide the "
            f"{steps_per_epoch} steps of an epoch: choose from "
            f"{', '.join(map(str, divisors))}."
        )


def _check_microbatches(microbatches: int, batch_size: int, replicas: int) -> None:
    rows = batch_size // replicas
    if rows % microbatches or rows // microbatches * replicas < 2:
        raise UsageError(
            f"config.microbatches is {microbatches}, which does not divide the {rows} "
            f"images that each of {replicas} replicas has of config.batch_size, "
            f"{batch_size}."
        )
