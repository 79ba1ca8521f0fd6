"""Linear classifiers of images with several labels each, as the paper's on VOC07."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from bt_keras import checks
from bt_keras.data import Source
from bt_keras.errors import UsageError, listed
from bt_keras.evaluation.evaluator import Evaluator
from bt_keras.evaluation.frozen_features import FrozenBackbone
from bt_keras.evaluation.linear_svm import (
    COSTS,
    average_precisions,
    require_scikit_learn,
)
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.target import EvaluationTarget

METRIC = "mean average precision"


class MultiLabel(Evaluator):
    """Trains a linear support vector machine for each class of multi-label images.

    The protocol of VISSL for VOC07: features of center crops with unit length, squared
    hinge loss, L2 regularization, at most 2000 iterations; C of each class is the one
    with the best average precision in cross-validation on the training images. Images
    in which a class is uncertain are negative in training and left out of its test.

    Args:
        costs: Sequence of floats > 0, values of C. Defaults to VISSL's.
        folds: Integer > 1, of the cross-validation. Defaults to `3`.
        seed: Integer. Seeds the solver. Defaults to `0`.

    Raises:
        UsageError: If an argument is out of range.
    """

    name = "multilabel"
    config_entry = "multilabel"

    def __init__(self, costs: Sequence[float] = COSTS, folds: int = 3, seed: int = 0):
        self.costs = tuple(checks.number("costs", c, checks.POSITIVE) for c in costs)
        self.folds = checks.number("folds", folds, checks.Number(2, integer=True))
        self.seed = seed

    @classmethod
    def from_config(cls, entry: Mapping[str, Any], seed: int) -> MultiLabel:
        """Builds the evaluator from its config entry and the config's seed."""
        return cls(**entry, seed=seed)

    def check(self, frozen: FrozenBackbone, target: EvaluationTarget) -> None:
        """Raises `UsageError` without sets of labels or without scikit-learn."""
        super().check(frozen, target)
        require_scikit_learn()

    def check_sources(self, train: Source, test: Source) -> None:
        """Raises `UsageError` without sets of labels."""
        for source in (train, test):
            if source.label_set is None:
                raise UsageError(
                    "multilabel needs images with several labels each, from a TFDS "
                    "data set with a feature 'labels' of Sequence(ClassLabel), such as "
                    f"tfds:voc/2007: {source.name!r} has none."
                )

    def run(self, frozen: FrozenBackbone) -> Iterator[list[Result]]:
        """Yields the mean of the classes' average precisions.

        Args:
            frozen: `FrozenBackbone` of sources with sets of labels.

        Yields:
            List of one `Result`.
        """
        train, test = frozen.train, frozen.test
        precisions = average_precisions(
            train.read(0, len(train.labels)),
            read_label_sets(frozen.train_source),
            test.read(0, len(test.labels)),
            read_label_sets(frozen.test_source),
            self.costs,
            self.folds,
            self.seed,
        )
        _warn_of_missing(precisions, frozen.train_source)
        used = precisions[~np.isnan(precisions)]
        yield [
            Result(
                self.name,
                METRIC,
                float(used.mean()),
                n=frozen.test_source.num_images,
                settings={"classes": len(used), "folds": self.folds},
                seed=self.seed,
            )
        ]


def read_label_sets(source: Source) -> np.ndarray:
    """Reads the sets of labels of all images without decoding the images.

    Args:
        source: `bt_keras.data.Source` with a `label_set`.

    Returns:
        int8 array (N, K) in file order: 1 if a class occurs, 0 if not, -1 if it is
        uncertain.
    """
    sets = source.records().map(source.label_set, tf.data.AUTOTUNE)
    return np.concatenate(list(sets.batch(4096).as_numpy_iterator()))


def _warn_of_missing(precisions, source):
    if missing := [source.label_names[k] for k in np.flatnonzero(np.isnan(precisions))]:
        logging.warning(
            "%d of the %d classes of %r have too few images to train or test: left out "
            "(%s).",
            len(missing),
            len(precisions),
            source.name,
            listed(missing),
        )
