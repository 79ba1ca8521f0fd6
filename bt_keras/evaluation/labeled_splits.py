"""The images that a classifier is trained and tested on, checked to fit together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from absl import logging

from bt_keras.data import Source
from bt_keras.data.shared_images import check_disjoint
from bt_keras.errors import UsageError, listed
from bt_keras.evaluation.label_subsets import balanced_subset, read_labels, take_subset

_PURPOSE = "training of a classifier"
_SHARE = 0.2


def open_labeled(
    open_split: Callable[[str], Source],
    train_split: str,
    test_split: str | None = None,
    held_out: float | None = None,
    seed: int = 0,
    default_split: str = "test",
) -> tuple[Source, Source]:
    """Opens labeled images for training, and others for testing.

    Args:
        open_split: Function from the name of a split to its `Source`.
        train_split: String.
        test_split: Optional string. Defaults to `None`: `default_split` if the images
            have other splits than `train_split`; otherwise a share is held out.
        held_out: Optional float in (0, 1), the share of every class in `train_split`
            that is held out for testing, whatever other splits there are. Only without
            `test_split`. Defaults to `None`: a fifth, if no split is tested on.
        seed: Integer. Chooses the images that are held out. Defaults to `0`.
        default_split: String. Defaults to `"test"`.

    Returns:
        `(train, test)`, two `Source`s with the same classes.

    Raises:
        UsageError: If there are no such images or no labels, a class has no training
            images, or the test images are the training images or have other classes.
    """
    train = open_split(train_split)
    train.require_labels(_PURPOSE)
    if test_split or (held_out is None and len(train.splits) > 1):
        test = open_split(test_split or default_split)
        test.require_labels(_PURPOSE)
        _check_other(train, test)
    else:
        train, test = hold_out(train, held_out or _SHARE, seed)
    _check_classes(train)
    return train, test


def _check_other(train, test):
    check_disjoint(
        test,
        train,
        lambda shared: (
            f"{shared} of the {test.num_images} images of split {test.split!r} of "
            f"{test.name!r} are training images (split {train.split!r}): give another "
            "split to test on."
        ),
    )
    if test.class_names != train.class_names:
        raise UsageError(
            f"the classes of {train.split!r} and {test.split!r} of {train.name!r} do "
            f"not fit: {train.num_classes} ({listed(train.class_names)}) and "
            f"{test.num_classes} ({listed(test.class_names)})."
        )


def hold_out(source: Source, share: float, seed: int) -> tuple[Source, Source]:
    """Divides labeled images; every class contributes the same share.

    Args:
        source: `Source` with labels.
        share: Float in (0, 1), of the second part. A class with one image stays in
            the first part; of others, at least one image is in each part.
        seed: Integer.

    Returns:
        `(rest, held_out)`, two `Source`s.

    Raises:
        UsageError: If no class has two images.

    Example:

    >>> from bt_keras import data
    >>> from bt_keras.evaluation.labeled_splits import hold_out
    >>> train, test = hold_out(data.load("shipped", "test"), 0.2, seed=0)
    >>> train.num_images, test.num_images
    (1599, 401)
    """
    labels = read_labels(source)
    counts = np.bincount(labels, minlength=source.num_classes)
    held_out = held_out_positions(labels, share, seed)
    if not len(held_out):
        raise UsageError(
            f"{source.name!r} has one image of each class: none can be held out to "
            "measure the accuracy. Add images, or a split of their own for testing."
        )
    if untested := [source.class_names[k] for k in np.flatnonzero(counts == 1)]:
        logging.warning(
            "%d of the %d classes of %r have a single image, which is trained on: the "
            "accuracy does not include them (%s).",
            len(untested),
            source.num_classes,
            source.name,
            listed(untested),
        )
    rest = np.setdiff1d(np.arange(len(labels)), held_out)
    test = take_subset(source, held_out)
    test = dataclasses.replace(test, split=f"{source.split}, held out")
    return take_subset(source, rest), test


def held_out_positions(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draws images to hold out, the same share of every class.

    Args:
        labels: Integer array (N,).
        share: Float in (0, 1). A class with one image has none held out; of others,
            at least one image is held out, and one is not.
        seed: Integer.

    Returns:
        int64 array of positions in `labels`, ascending.

    Example:

    >>> from bt_keras.evaluation.labeled_splits import held_out_positions
    >>> labels = np.array([0, 0, 0, 0, 0, 1, 1, 2])
    >>> labels[held_out_positions(labels, 0.2, seed=0)]
    array([0, 1])
    """
    kept = balanced_subset(labels, 1 - share, seed)
    held_out = np.setdiff1d(np.arange(len(labels)), kept)
    # Classes so small that rounding leaves nothing.
    missing = np.setdiff1d(np.flatnonzero(np.bincount(labels) > 1), labels[held_out])
    moved = [kept[labels[kept] == label][0] for label in missing]
    return np.sort(np.concatenate([held_out, np.array(moved, np.int64)]))


def _check_classes(train):
    counts = np.bincount(read_labels(train), minlength=train.num_classes)
    empty = [train.class_names[label] for label in np.flatnonzero(counts == 0)]
    if empty:
        raise UsageError(
            f"{train.split!r} of {train.name!r} has no images of {len(empty)} of the "
            f"{train.num_classes} classes ({listed(empty)}): add some, or remove these "
            "classes from the other splits."
        )
