"""Linear support vector machines on features, by scikit-learn."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np

from bt_keras.errors import UsageError
from bt_keras.progress_bar import track

# VISSL's list for VOC07.
COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
# As VISSL, which gives images of the class twice the weight of the others.
_WEIGHTS = {1: 2, -1: 1}


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

    Args:
        train_features: float array (N, F).
        train_labels: Integer array (N, K): 1 if a class occurs in an image, 0 if not,
            -1 if it is uncertain.
        test_features: float array (M, F).
        test_labels: Integer array (M, K).
        costs: Sequence of floats > 0, values of C. Defaults to VISSL's.
        folds: Integer > 1, of the cross-validation. Defaults to `3`.
        seed: Integer. Seeds the solver. Defaults to `0`.

    Returns:
        float64 array (K,); NaN for classes with too few images to train or test.

    Raises:
        UsageError: If scikit-learn is not installed.

    Example:

    >>> from bt_keras.evaluation.linear_svm import average_precisions
    >>> features = np.random.default_rng(0).normal(size=(60, 4))
    >>> labels = (features[:, :2] > 0).astype(int)
    >>> average_precisions(features, labels, features, labels, costs=(1, 10)).round(1)
    array([1., 1.])
    """
    require_scikit_learn()
    from sklearn.exceptions import ConvergenceWarning

    train, test = _unit(train_features), _unit(test_features)
    found = []
    with warnings.catch_warnings():
        # The number of iterations is limited by the protocol.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for k in track(range(train_labels.shape[1]), "linear classifiers", None):
            certain = test_labels[:, k] >= 0
            targets = np.where(train_labels[:, k] == 1, 1, -1)
            expected = test_labels[certain, k]
            few = min((targets == 1).sum(), (targets == -1).sum()) < folds
            if few or not expected.any():
                found.append(np.nan)
            else:
                svm = _search(costs, folds, seed).fit(train, targets)
                found.append(_precision(svm, test[certain], expected))
    return np.array(found)


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
