"""Average precisions of linear support vector machines."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC

from bt_keras.errors import UsageError
from bt_keras.evaluation.linear_svm import COSTS, average_precisions


def samples(seed, count, noise):
    """Returns features of three classes with a direction each, and sets of labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (count, 3))
    features = labels @ np.eye(3, 6) + noise * rng.normal(size=(count, 6))
    return features.astype("f4"), labels


def precisions_by_hand(train, train_labels, test, test_labels, costs):
    """Chooses C in three stratified folds of this file's own."""
    train, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train, test))

    def fit(cost, rows, targets):
        svm = LinearSVC(
            C=cost, class_weight={0: 1, 1: 2}, max_iter=2000, dual=True, random_state=0
        )
        return svm.fit(train[rows], targets[rows])

    def precision(svm, rows, features, targets):
        scores = svm.decision_function(features[rows])
        return average_precision_score(targets[rows], scores)

    def folds(targets):
        """Successive parts of the positive and of the negative images."""
        number = np.zeros(len(targets), int)
        for value in (0, 1):
            rows = np.flatnonzero(targets == value)
            for fold, part in enumerate(np.array_split(rows, 3)):
                number[part] = fold
        return number

    found = []
    for k in range(train_labels.shape[1]):
        targets, number = train_labels[:, k], folds(train_labels[:, k])
        scores = [
            np.mean(
                [
                    precision(
                        fit(cost, number != f, targets), number == f, train, targets
                    )
                    for f in range(3)
                ]
            )
            for cost in costs
        ]
        best = fit(costs[int(np.argmax(scores))], slice(None), targets)
        certain = test_labels[:, k] >= 0
        found.append(precision(best, certain, test, test_labels[:, k]))
    return found


def test_precisions_equal_a_loop_over_costs_and_folds():
    # Multiples of 3: the folds of any library have equal sizes.
    train, labels = samples(0, 120, noise=0.7)
    test, test_labels = samples(1, 90, noise=0.7)
    test_labels[::7, 1] = -1
    ours = average_precisions(train, labels, test, test_labels, COSTS[:5])
    theirs = precisions_by_hand(train, labels, test, test_labels, COSTS[:5])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert 0.5 < ours.min() < ours.max() < 1


def test_uncertain_images_are_not_tested_on():
    train, labels = samples(0, 90, noise=0.3)
    test, test_labels = samples(1, 60, noise=0.3)
    certain = average_precisions(train, labels, test[:40], test_labels[:40], (1.0,))
    test_labels[40:] = -1
    with_others = average_precisions(train, labels, test, test_labels, (1.0,))
    np.testing.assert_allclose(with_others, certain)


def test_classes_with_too_few_images_are_nan():
    train, labels = samples(0, 90, noise=0.3)
    test, test_labels = samples(1, 60, noise=0.3)
    labels[2:, 0] = 0
    test_labels[:, 2] = 0
    found = average_precisions(train, labels, test, test_labels, (1.0,))
    assert np.isnan(found).tolist() == [True, False, True]


def test_a_class_that_every_test_image_has_is_nan():
    train, labels = samples(0, 90, noise=0.3)
    test, test_labels = samples(1, 60, noise=0.3)
    test_labels[:, 1] = 1
    found = average_precisions(train, labels > 0, test, test_labels > 0, (1.0,))
    assert np.isnan(found).tolist() == [False, True, False]


def with_nan(features):
    features = features.copy()
    features[4, 1] = np.nan
    return features


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train_features", lambda a: a[0], r"train_features must be an array \(N, F\)"),
        ("test_features", lambda a: a.astype("S"), "array .* of numbers"),
        ("test_features", with_nan, "row 4 of test_features is not finite"),
        ("train_features", lambda a: a[:5], "5 rows and train_labels 30"),
        ("test_features", lambda a: a[:, :4], "has 6 columns and test_features 4"),
        ("test_labels", lambda a: a[:, :1], "has 3 columns and test_labels 1"),
        ("train_labels", lambda a: a + 1, "train_labels has the value 2"),
        ("test_labels", lambda a: 0 * a, "no class has 3 training images"),
        ("train_labels", lambda a: a**0, "no class has 3 training images"),
        ("costs", lambda a: (0.0,), "costs=0.0 must be"),
        ("folds", lambda a: 1, "folds=1 must be"),
    ],
)
def test_what_cannot_be_used_is_named(name, change, message):
    features, labels = samples(0, 30, noise=0.3)
    usual = {"train_features": features, "train_labels": labels}
    usual |= {"test_features": features, "test_labels": labels}
    usual |= {"costs": (1.0,), "folds": 3}
    with pytest.raises(UsageError, match=message):
        average_precisions(**usual | {name: change(usual[name])})


def test_vissl_interpolates():
    """As the docstring says, whose precisions are never lower."""
    targets, scores = np.array([1, 0, 0, 1, 1, 0]), -np.arange(6)
    ranks = np.flatnonzero(targets)
    precisions = np.cumsum(targets)[ranks] / (ranks + 1)
    plain = average_precision_score(targets, scores)
    assert plain == pytest.approx(precisions.mean())
    interpolated = np.maximum.accumulate(precisions[::-1])[::-1]
    np.testing.assert_allclose(interpolated, [1, 0.6, 0.6])
    assert interpolated.mean() > plain
