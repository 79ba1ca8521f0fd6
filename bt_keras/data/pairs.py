"""From a source and two views to batches of pairs: a function of (seed, step).

Steps are counted from 0 over the whole run. Step t belongs to epoch
t // steps_per_epoch; the order of an epoch is a permutation seeded by (seed, epoch),
and the views of a batch are seeded by (seed, step). So nothing needs to be remembered
to go on with a run: the same seed and the same step give the same pixels.
"""

import functools
import inspect
import itertools

import tensorflow as tf
from absl import logging

from bt_keras.data import sharding
from bt_keras.data.batches import batches
from bt_keras.data.epochs import ENDLESS
from bt_keras.data.load import load
from bt_keras.errors import UsageError


def pairs(
    source,
    views,
    batch_size,
    seed=0,
    split="train",
    endless=False,
    first_step=0,
    skip_corrupt=False,
):
    """Makes a dataset of batches of view pairs.

    An image is decoded once for both of its views; if all images have one size and
    fit into 1 GiB, once for the whole run. In each epoch every image is used at most
    once: those left over when the number of images is not a multiple of `batch_size`
    (other ones in each epoch) are dropped.

    With several workers, or several hosts of a TPU, call it inside `strategy.scope()`:
    then each of them reads and makes only its own rows of every batch, with the pixels
    that one process would have made. Only a plain function without the argument `part`
    cannot do that: there every worker makes the whole batches and drops the others'
    rows.

    Args:
        source: a name or a path (see `bt_keras.data.load`), a `Source`, or a
            `tf.data.Dataset` of uint8 images or (image, label).
        views: what `bt_keras.views` returns, or a function of (images uint8
            (N, H, W, 3), seed=(s, step)) that returns two batches. A plain function
            needs images of one size; for the argument `part`, which it may have, see
            `bt_keras.augmentation.views.Views`.
        batch_size: int, at least 2. Over all replicas, which get equal parts of it.
        seed: int. Seeds the order and the views.
        split: str. The part of the source.
        endless: bool. If False, the dataset is an epoch long, and each iteration over
            it, such as an epoch of `model.fit`, gives the next epoch: iteration i
            (counted by this object, also when only a part of it was used) has the
            steps from `first_step + i * steps_per_epoch` on. Several hosts of a TPU
            need True, as they cannot ask this process which iteration it is.
        first_step: int. The step to begin with. The batches before it are not made,
            and of their images as few are read as the source allows.
        skip_corrupt: bool. Leave out the files of a folder that cannot be decoded.

    Returns:
        `tf.data.Dataset` of (view_a, view_b), float32 (batch_size, size, size, 3); in
        the scope of a strategy with several workers, the same as a
        `tf.distribute.DistributedDataset`, which `fit` takes as well.

    Raises:
        UsageError: If the source cannot be used, or `batch_size` does not fit it.

    Example:
        >>> dataset = pairs("shipped", bt_keras.views(32, "small"), batch_size=256)
        >>> model.fit(dataset, epochs=10)
    """
    source = load(source, split, skip_corrupt)
    strategy = tf.distribute.get_strategy()
    check(source, views, batch_size, strategy.num_replicas_in_sync)
    if first_step < 0:
        raise UsageError(f"first_step is {first_step}: give 0 or more.")
    steps_per_epoch = source.num_images // batch_size

    def make_part(part):
        if endless:
            starts = tf.data.Dataset.from_tensors(tf.constant(first_step, tf.int64))
        else:
            starts = _first_steps(first_step, steps_per_epoch)
        length = ENDLESS if endless else steps_per_epoch
        return batches(source, views, batch_size, seed, starts, length, part)

    length = tf.data.INFINITE_CARDINALITY if endless else steps_per_epoch
    if sharding.num_input_pipelines(strategy) > 1 and _takes_part(views):
        return sharding.distributed(make_part, length, batch_size, strategy)
    return sharding.plain(make_part, length)


def _first_steps(first_step, steps_per_epoch):
    """A dataset of one number, the first step of the iteration that reads it."""
    # tf.data has no notion of how often it was iterated. Python counts, not a
    # tf.Variable, which would be mirrored if made in the scope of a strategy.
    iterations = itertools.count()

    def next_first_step():
        yield first_step + next(iterations) * steps_per_epoch

    return tf.data.Dataset.from_generator(
        next_first_step, output_signature=tf.TensorSpec((), tf.int64)
    )


def check(source, views, batch_size, replicas=1):
    """Raises `UsageError` for what `pairs` could not make batches of.

    Args:
        source: `Source`.
        views: as for `pairs`.
        batch_size: int.
        replicas: int, of the strategy that will train on the batches.
    """
    if batch_size < 2:
        raise UsageError(
            f"batch_size is {batch_size}, but the cross-correlation needs at least 2 "
            "images: give 2 or more."
        )
    if batch_size > source.num_images:
        raise UsageError(
            f"batch_size is {batch_size}, but the split {source.split!r} of "
            f"{source.name!r} has {source.num_images} images: give at most that many."
        )
    if batch_size % replicas:
        raise UsageError(
            f"batch_size is {batch_size}, which the strategy's {replicas} replicas "
            f"cannot share equally: give a multiple of {replicas}."
        )
    if None in source.image_shape and not _per_image(views):
        raise UsageError(
            f"The images of {source.name!r} are not of one known size, which a plain "
            "function of a batch needs: give bt_keras.views(...), or resize the images."
        )
    size = getattr(views, "size", None)
    if size and source.smallest_side and source.smallest_side < size / 2:
        _warn_once(
            f"The smallest image of {source.name!r} has {source.smallest_side} pixels "
            f"on a side, the views have {size}: smaller views cost less."
        )


@functools.lru_cache
def _warn_once(message):
    logging.warning("%s", message)


def _per_image(views):
    return hasattr(views, "crop") and hasattr(views, "distort")


def _takes_part(views):
    """Whether `views` can make a part of a batch as it is in the whole batch."""
    try:
        return "part" in inspect.signature(views).parameters
    except (TypeError, ValueError):  # Not every callable has a signature.
        return False
