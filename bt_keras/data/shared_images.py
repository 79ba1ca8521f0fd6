"""Images that two splits have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from absl import logging

from bt_keras.data.source import Source
from bt_keras.errors import UsageError


def check_disjoint(
    held_out: Source, train: Source, message: Callable[[int], str]
) -> None:
    """Checks that held-out images are not training images.

    If only some files of a held-out folder are copies of training images, as in many
    large collections, there is a warning with their number.

    Args:
        held_out: `Source`.
        train: `Source`.
        message: Function from the number of shared images, an integer > 0, to the
            message of the error.

    Raises:
        UsageError: If parts of a TFDS data set overlap, or all files are copies.
    """
    shared = num_shared(held_out, train)
    if not shared:
        return
    if not _have_contents(held_out, train) or shared == held_out.num_images:
        raise UsageError(message(shared))
    logging.warning(
        "%d of the %d images of split %r are copies of images of split %r, which is "
        "trained on.",
        shared,
        held_out.num_images,
        held_out.split,
        train.split,
    )


def num_shared(held_out: Source, train: Source) -> int:
    """Counts the held-out images that are known to be training images.

    Parts of the files of a TFDS data set are compared by position, and files of folders
    by their contents.

    Args:
        held_out: `Source`.
        train: `Source`.

    Returns:
        Integer in [0, `held_out.num_images`].

    Example:

    >>> from bt_keras.data.shared_images import num_shared
    >>> train = bt_keras.data.load("shipped", "train[:90%]")
    >>> num_shared(bt_keras.data.load("shipped", "train[8950:]"), train)
    50
    """
    if (held_out.name, held_out.split) == (train.name, train.split):
        return held_out.num_images
    if _have_contents(held_out, train):
        return int(np.isin(held_out.fingerprints, train.fingerprints).sum())
    return sum(
        max(min(end, train_end) - max(first, train_first), 0)
        for name, first, end in held_out.ranges
        for train_name, train_first, train_end in train.ranges
        if name == train_name
    )


def _have_contents(*sources):
    return all(source.fingerprints is not None for source in sources)
