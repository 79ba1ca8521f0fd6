"""Linear support vector machines on features, by scikit-learn."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np

from bt_keras import checks
from bt_keras.errors import UsageError
from bt_keras.progress_bar import track
from bt_keras.scores.rows import check_rows

# VISSL's list for VOC07.
COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
# As VISSL, which gives images of the class twice the weight of the others.
_WEIGHTS = {1: 2, -1: 1}
_LABELS = (-1, 0, 1)


def average_precisions(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    test_features: np.ndarray,
    test_labels: np.ndarray,
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    seed: int = 0,
) -> np.ndarray:
    """Trains linear support vector machines; computes each class's average precision.

    For features and labels from anywhere. Needs scikit-learn.

    The average precision is scikit-learn's: the precision at the rank of each positive
    image, averaged. VISSL interpolates: it replaces that precision by the highest at
    this or any later rank, so that its values are higher or equal. The metric of VOC
    2007 averages the interpolated precision at 11 recalls, 0, 0.1, ..., 1. Compare
    values of the same kind only.

    Args:
        train_features: float array (N, F) of finite numbers.
        train_labels: Integer array (N, K): 1 if a class occurs in an image, 0 if not,
            -1 if it is uncertain.
        test_features: float array (M, F) of finite numbers.
        test_labels: Integer array (M, K).
        costs: Sequence of floats > 0, values of C. Defaults to VISSL's.
        folds: Integer > 1, of the cross-validation. Defaults to `3`.
        seed: Integer. Seeds the solver. Defaults to `0`.

    Returns:
        float64 array (K,). NaN for classes with too few images: `folds` training images
        with the class and as many without it (or uncertain), and a certain test image
        of either kind are needed.

    Raises:
        UsageError: If scikit-learn is not installed, an argument is not such an array
            or out of range, the arrays do not fit together, or all classes have too
            few images.

    Example:

    >>> from bt_keras.evaluation.linear_svm import average_precisions
    >>> features = np.random.default_rng(0).normal(size=(60, 4))
    >>> labels = (features[:, :2] > 0).astype(int)
    >>> average_precisions(features, labels, features, labels, costs=(1, 10)).round(1)
    array([1., 1.])
    """
    require_scikit_learn()
    from sklearn.exceptions import ConvergenceWarning

    train = _checked("train", train_features, train_labels)
    test = _checked("test", test_features, test_labels)
    _check_widths(train, test)
    costs = tuple(checks.number("costs", cost, checks.POSITIVE) for cost in costs)
    folds = checks.number("folds", folds, checks.Number(2, integer=True))
    enough = _enough(train[1], test[1], folds)
    found = np.full(len(enough), np.nan)
    with warnings.catch_warnings():
        # The number of iterations is limited by the protocol.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for k in track(np.flatnonzero(enough), "linear classifiers", None):
            svm = _search(costs, folds, seed)
            svm.fit(train[0], np.where(train[1][:, k] == 1, 1, -1))
            certain = test[1][:, k] >= 0
            found[k] = _precision(svm, test[0][certain], test[1][certain, k])
    return found


def _checked(part, features, labels):
    """Returns features of unit length and labels; `part` is for the messages."""
    features = check_rows(f"{part}_features", features, least=1)
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "b":
        labels = labels.astype(np.int8)
    labels = check_rows(f"{part}_labels", labels, "(N, K)", least=1)
    if len(features) != len(labels):
        raise UsageError(
            f"{part}_features has {len(features)} rows and {part}_labels "
            f"{len(labels)}: give one of each for every image."
        )
    if len(bad := np.flatnonzero(~np.isfinite(features).all(axis=1))):
        raise UsageError(f"row {bad[0]} of {part}_features is not finite.")
    if len(others := np.setdiff1d(labels, _LABELS)):
        raise UsageError(
            f"{part}_labels has the value {others[0]}: a label is 1 if the class "
            "occurs in the image, 0 if not, -1 if it is uncertain."
        )
    return _unit(features), labels


def _check_widths(train, test):
    for name, a, b in zip(("features", "labels"), train, test, strict=True):
        if a.shape[1] != b.shape[1]:
            raise UsageError(
                f"train_{name} has {a.shape[1]} columns and test_{name} {b.shape[1]}: "
                "they must have the same."
            )


def _enough(train_labels, test_labels, folds):
    """Returns which classes have enough images to train and to test."""
    positive = (train_labels == 1).sum(axis=0)
    enough = np.minimum(positive, len(train_labels) - positive) >= folds
    enough &= (test_labels == 1).any(axis=0) & (test_labels == 0).any(axis=0)
    if not enough.any():
        raise UsageError(
            f"no class has {folds} training images with it and {folds} without it, and "
            "a test image of either kind."
        )
    return enough


def _search(costs, folds, seed):
    """Returns a classifier that chooses C by cross-validation."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import LinearSVC

    svm = LinearSVC(
        penalty="l2",
        loss="squared_hinge",
        dual=True,
        max_iter=2000,
        class_weight=_WEIGHTS,
        random_state=seed,
    )
    return GridSearchCV(svm, {"C": list(costs)}, scoring="average_precision", cv=folds)


def _precision(svm, features, expected):
    from sklearn.metrics import average_precision_score

    return average_precision_score(expected, svm.decision_function(features))


def require_scikit_learn() -> None:
    """Raises `UsageError` if scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise UsageError(
            "multilabel needs scikit-learn, which is not installed: "
            "pip install 'bt-keras[multilabel]'."
        )


def _unit(features):
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, 1e-12)
