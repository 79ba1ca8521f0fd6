"""The images whose features a page shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from ml_collections import ConfigDict

from bt_keras.data import Source
from bt_keras.data.from_config import open_source, split_names
from bt_keras.errors import UsageError
from bt_keras.evaluation.label_subsets import take_subset

# A page shows samples of larger data sets.
BANK_IMAGES = 10_000
QUERY_IMAGES = 2_000
_SEED = (0, 0)


def sources(
    config: ConfigDict, train_split: str | None = None, test_split: str | None = None
) -> tuple[Source, Source, bool]:
    """Opens samples of the images of a run.

    Args:
        config: `ConfigDict` of the run.
        train_split: Optional string, as for `split_names`. Defaults to `None`.
        test_split: Optional string, as for `split_names`. Defaults to `None`.

    Returns:
        `(bank, queries, held_out)`: training images; test images, or other training
        images if the data have one split only; and whether they are test images.

    Raises:
        UsageError: If the images cannot be read.
    """
    first, second = split_names(config, train_split, test_split)
    train = open_source(config, first)
    test = _test_images(config, second, train, is_required=bool(test_split))
    if test is not None:
        return sample(train, BANK_IMAGES), sample(test, QUERY_IMAGES), True
    every = sample(train, BANK_IMAGES + QUERY_IMAGES)
    numbers = np.arange(every.num_images)
    is_query = numbers % (1 + BANK_IMAGES // QUERY_IMAGES) == 0
    bank, queries = (take_subset(every, numbers[a]) for a in (~is_query, is_query))
    return bank, queries, False


def _test_images(config, split, train, is_required):
    """Returns the test images, or `None` if the data have one split only."""
    if split == train.split:
        return None
    try:
        return open_source(config, split)
    except UsageError:
        # Damaged images and the wrong name of a split are no reason to show others.
        if is_required or split in train.splits or len(train.splits) > 1:
            raise
        return None


def sample(source: Source, count: int) -> Source:
    """Returns a source of random images in a fixed order; all if there are few.

    Args:
        source: `bt_keras.data.Source`.
        count: Integer > 0.
    """
    if source.num_images <= count:
        return source

    def records(shuffle_seed=None, first=0):
        # The order in which training reads them, from few places of the disk.
        order = source.records(shuffle_seed=tf.constant(_SEED, tf.int64))
        return order.take(count).skip(first)

    return dataclasses.replace(source, num_images=count, records=records, digest=None)
