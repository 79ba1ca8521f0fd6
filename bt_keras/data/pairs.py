"""Batches of view pairs as a function of (seed, step).

Steps are counted from 0 over the whole run. Step t belongs to epoch
t // steps_per_epoch; the order of an epoch is a permutation seeded by (seed, epoch),
and the views of a batch are seeded by (seed, step). A run can therefore resume without
stored state: the same seed and the same step give the same pixels.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from absl import logging

from bt_keras import checks
from bt_keras.data import sharding
from bt_keras.data.batches import batches
from bt_keras.data.epochs import ENDLESS
from bt_keras.data.load import load
from bt_keras.data.source import Source
from bt_keras.errors import UsageError

_BATCH = checks.Number(2, integer=True)
_BATCH_ADVICE = ": the cross-correlation needs at least 2 images."


def pairs(
    source: str | os.PathLike | Source | tf.data.Dataset,
    views: Callable,
    batch_size: int,
    seed: int = 0,
    split: str = "train",
    endless: bool = False,
    first_step: int = 0,
    skip_corrupt: bool = False,
    fixed_views: bool = False,
    labels: bool = False,
) -> tf.data.Dataset:
    """Makes a dataset of batches of view pairs.

    Each image is decoded once for both of its views. If all images have one size and
    fit into 1 GiB, they are decoded once for the whole run. If the number of images is
    not a multiple of `batch_size`, the remaining images of each epoch are dropped;
    these are different in each epoch.

    With several workers, or several hosts of a TPU, call it inside `strategy.scope()`.
    Each of them then reads only its own shard of every batch, with the same pixels as
    in a single process. With a plain function that has no argument `shard`, every
    worker makes the whole batches and drops the rows of other workers.

    Args:
        source: A name or a path (see `bt_keras.data.load`), a `Source`, or a
            `tf.data.Dataset` of images or (image, label), see
            `bt_keras.data.from_dataset`.
        views: `bt_keras.augmentation.Views`, or a function of (images, seed) that
            returns two batches; images are uint8 of shape `(N, H, W, C)`, the seed is
            (seed, step). A plain function needs images of one size. It may have an
            argument `shard`, see `bt_keras.augmentation.Views`.
        batch_size: Integer, at least 2. Global batch size, split equally among all
            replicas.
        seed: Integer. Seeds the order and the views. Defaults to `0`.
        split: String. Split of the source. Defaults to `"train"`.
        endless: Boolean. If false, the dataset is one epoch long, and each iteration
            over it, such as an epoch of `model.fit`, gives the next epoch: iteration i
            (counted by this dataset, even if an iteration ends early) begins at step
            `first_step + i * steps_per_epoch`. Several hosts of a TPU need true,
            because they cannot access this counter. Defaults to `False`.
        first_step: Integer. Step to begin with. The batches before it are skipped; as
            few of their images are read as the source allows. Defaults to `0`.
        skip_corrupt: Boolean. Whether to leave out files of a folder that cannot be
            decoded. Defaults to `False`.
        fixed_views: Boolean. Whether every epoch has the same batches with the same
            views, those of the epoch that begins at `first_step`. Held-out losses of
            different epochs or models can be compared only then. Defaults to `False`.
        labels: Boolean. Whether the elements have the labels of the images, which
            `fit` does not train on, but probes do, see `bt_keras.callbacks`. Defaults
            to `False`.

    Returns:
        `tf.data.Dataset` of (view_a, view_b), float32 of shape
        `(batch_size, size, size, C)`, or whatever else `views` returns, such as
        `bt_keras.augmentation.Crops`; with `labels`, of ((view_a, view_b), label), the
        label int64 of shape `(batch_size,)`. In the scope of a strategy with several
        workers, a `tf.distribute.DistributedDataset` of the same batches, which `fit`
        accepts.

    Raises:
        UsageError: If the source cannot be used, `batch_size` does not fit it, it has
            no labels although they are asked for, or another argument has the wrong
            type or is out of range.

    Example:

    >>> views = bt_keras.views(32, "small")
    >>> dataset = bt_keras.pairs("shipped", views, batch_size=4)
    >>> view_a, view_b = next(iter(dataset))
    >>> view_a.shape
    TensorShape([4, 32, 32, 3])
    """
    _check_split(split)
    endless = checks.choice("endless", endless, (True, False))
    skip_corrupt = checks.choice("skip_corrupt", skip_corrupt, (True, False))
    fixed_views = checks.choice("fixed_views", fixed_views, (True, False))
    labels = checks.choice("labels", labels, (True, False))
    seed = checks.number("seed", seed, checks.INT64)
    first_step = checks.number("first_step", first_step, checks.STEP)
    batch_size = checks.number("batch_size", batch_size, _BATCH, _BATCH_ADVICE)
    source = _load(source, views, split, skip_corrupt, labels)
    strategy = tf.distribute.get_strategy()
    check(source, views, batch_size, strategy.num_replicas_in_sync)
    steps_per_epoch = source.steps_per_epoch(batch_size)

    def make_shard(shard):
        starts, length = _steps(first_step, steps_per_epoch, endless, fixed_views)
        made = batches(source, views, batch_size, seed, starts, length, shard, labels)
        return made.repeat() if endless and fixed_views else made

    length = tf.data.INFINITE_CARDINALITY if endless else steps_per_epoch
    if sharding.num_input_pipelines(strategy) > 1 and _takes_shard(views):
        return sharding.distributed(make_shard, length, batch_size, strategy)
    return sharding.plain(make_shard, length)


def split_labels(element: Any) -> tuple[Any, tf.Tensor | None]:
    """Returns the views and the labels of an element of `pairs`.

    Args:
        element: `(view_a, view_b)` or `((view_a, view_b), label)`.

    Returns:
        `((view_a, view_b), label)`, the label `None` if there is none.
    """
    views, label = element
    return (views, label) if isinstance(views, (tuple, list)) else (element, None)


def _check_split(split):
    if not isinstance(split, str):
        raise UsageError(f"split={checks.described(split)} must be a string.")


def _load(source, views, split, skip_corrupt, labels):
    bands = None if isinstance(source, tf.data.Dataset) else _channels(views)
    source = load(source, split, skip_corrupt, channels=bands)
    if labels:
        source.require_labels("a dataset with labels=True", some=True)
    return source


def _steps(first_step, steps_per_epoch, endless, fixed_views):
    """Returns the first step of an iteration, as a dataset, and its number of steps."""
    if endless or fixed_views:
        starts = tf.data.Dataset.from_tensors(tf.constant(first_step, tf.int64))
    else:
        starts = _first_steps(first_step, steps_per_epoch)
    return starts, ENDLESS if endless and not fixed_views else steps_per_epoch


def _first_steps(first_step, steps_per_epoch):
    """Makes a dataset of one number, the first step of the current iteration."""
    # tf.data does not count its iterations. Python does it here, because a tf.Variable
    # would be mirrored in the scope of a strategy.
    iterations = itertools.count()

    def next_first_step():
        yield first_step + next(iterations) * steps_per_epoch

    return tf.data.Dataset.from_generator(
        next_first_step, output_signature=tf.TensorSpec((), tf.int64)
    )


def check(source: Source, views: Callable, batch_size: int, replicas: int = 1) -> None:
    """Checks whether `pairs` can make batches.

    Args:
        source: `Source`.
        views: See `pairs`.
        batch_size: Integer. Global batch size.
        replicas: Integer. Number of replicas of the strategy. Defaults to `1`.

    Raises:
        UsageError: If it cannot.
    """
    _check_callable(views)
    _check_channels(source, _channels(views))
    check_batch(source, batch_size, replicas)
    if None in source.image_shape and not _per_image(views):
        raise UsageError(
            f"The images of {source.name!r} have different or unknown sizes, but a "
            "plain function needs one size: give bt_keras.views(...), or resize them."
        )
    size = getattr(views, "size", None)
    if size and source.smallest_side and source.smallest_side < size / 2:
        _warn_once(
            f"The smallest image of {source.name!r} has {source.smallest_side} pixels "
            f"on a side, the views have {size}: smaller views are faster."
        )


def check_batch(source: Source, batch_size: int, replicas: int = 1) -> None:
    """Checks whether a batch fits the images and the replicas; see `check`."""
    checks.number("batch_size", batch_size, _BATCH, _BATCH_ADVICE)
    if batch_size > source.num_images:
        raise UsageError(
            f"batch_size is {batch_size}, but the split {source.split!r} of "
            f"{source.name!r} has {source.num_images} images: give at most that many."
        )
    if batch_size % replicas:
        raise UsageError(
            f"batch_size is {batch_size}, which is not divisible by the strategy's "
            f"{replicas} replicas: give a multiple of {replicas}."
        )


def _channels(views):
    """The number of bands that views take, None if they take any."""
    return getattr(views, "channels", None)


def _check_channels(source, channels):
    found = source.image_shape[-1]
    if channels in (None, found):
        return
    advice = f"give views of {found} bands, as in bt_keras.views(..., statistics=...)"
    if (found, channels) == (1, 3):
        advice = (
            "repeat gray images with from_dataset(dataset, channels=3), or " + advice
        )
    raise UsageError(
        f"The images of {source.name!r} are (H, W, {found}), but the views take (H, W, "
        f"{channels}): {advice}."
    )


def _check_callable(views):
    """Raises `UsageError` unless `views(images, seed=seed)` can be called."""
    try:
        valid = callable(views)
        if valid:
            inspect.signature(views).bind(None, seed=None)
    except TypeError:
        valid = False
    except ValueError:  # Some callables have no signature.
        valid = True
    if not valid:
        raise UsageError(
            f"views={checks.described(views)} cannot be called as views(images, "
            "seed=seed): give bt_keras.views(224), or a function with these arguments."
        )


@functools.lru_cache
def _warn_once(message):
    logging.warning("%s", message)


def _per_image(views):
    return hasattr(views, "crop") and hasattr(views, "distort")


def _takes_shard(views):
    """Whether `views` can make one shard of a batch."""
    try:
        return "shard" in inspect.signature(views).parameters
    except (TypeError, ValueError):  # Some callables have no signature.
        return False
