"""Images that two splits have in common."""

from __future__ import annotations

import numpy as np
from absl import logging

from bt_keras.data.source import Source


def num_shared(held_out: Source, train: Source) -> int:
    """Counts the held-out images that are known to be training images.

    Parts of the files of a TFDS data set are compared by position, and files of folders
    by their contents. If only some files of a held-out folder are copies of training
    images, as in many large collections, they are counted in a warning.

    Args:
        held_out: `Source`.
        train: `Source`.

    Returns:
        Integer in [0, `held_out.num_images`]: 0 after a warning.

    Example:

    >>> from bt_keras.data.shared_images import num_shared
    >>> train = bt_keras.data.load("shipped", "train[:90%]")
    >>> num_shared(bt_keras.data.load("shipped", "train[8950:]"), train)
    50
    """
    if (held_out.name, held_out.split) == (train.name, train.split):
        return held_out.num_images
    if held_out.fingerprints is not None and train.fingerprints is not None:
        return _num_copies(held_out, train)
    return sum(
        max(min(end, train_end) - max(first, train_first), 0)
        for name, first, end in held_out.ranges
        for train_name, train_first, train_end in train.ranges
        if name == train_name
    )


def _num_copies(held_out, train):
    copies = int(np.isin(held_out.fingerprints, train.fingerprints).sum())
    if copies == held_out.num_images:
        return copies
    if copies:
        logging.warning(
            "%d of the %d images of split %r are copies of images of split %r, which "
            "is trained on.",
            copies,
            held_out.num_images,
            held_out.split,
            train.split,
        )
    return 0
