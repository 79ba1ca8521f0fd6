import types

import numpy as np
import pytest

import bt_keras
from bt_keras.evaluation.features import Features
from bt_keras.evaluation.knn import KNN, ranked_classes
from bt_keras.evaluation.neighbors import nearest
from tests.evaluation.gray import scores


def numpy_ranking(queries, bank, labels, classes, k, temperature):
    """Votes in a loop over neighbors, exp(s / temperature) as in the paper."""
    ranking = []
    for similarities in queries @ bank.T:
        votes = np.zeros(classes)
        for near in np.argsort(-similarities)[:k]:
            votes[labels[near]] += np.exp(similarities[near] / temperature)
        order = np.argsort(-votes, kind="stable")[:5]
        ranking.append(np.where(votes[order] > 0, order, -1))
    return ranking


def features(rng, count, width=6):
    return Features(rng.normal(size=(count, width)).astype("f4"), np.zeros(count, int))


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (5, 0.1), (40, 1.0)])
def test_ranking_equals_a_loop_over_the_neighbors(k, temperature):
    rng = np.random.default_rng(0)
    queries, bank = features(rng, 7), features(rng, 40)
    labels = rng.integers(0, 8, 40)
    [(similarities, positions)] = nearest(queries, bank, k)
    ours = ranked_classes(similarities, labels[positions], 8, temperature)
    units = (
        x.features / np.linalg.norm(x.features.astype("f8"), axis=1, keepdims=True)
        for x in (queries, bank)
    )
    theirs = numpy_ranking(*units, labels, 8, k, temperature)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("k", "temperature"), [(3, 0.1), (200, 1e-3)])
def test_accuracy_is_chance_for_random_labels(k, temperature):
    """Few votes and tiny temperatures give ties; a tie is not a hit."""
    rng = np.random.default_rng(0)
    train, test = (
        Features(rng.normal(size=(n, 8)).astype("f4"), rng.integers(0, 10, n))
        for n in (2000, 1000)
    )
    frozen = types.SimpleNamespace(train=train, test=test, num_classes=10)
    accuracies = scores(KNN(k, temperature), frozen)
    assert 0.05 < accuracies["top1"] < 0.15
    assert accuracies["top5"] < 0.6


@pytest.mark.parametrize("k", [10, 10_000], ids=["some", "more than all images"])
def test_separate_classes_are_recognized(frozen, k):
    accuracies = scores(KNN(k), frozen)
    assert accuracies["top1"] > 0.9
    assert accuracies["top5"] == 1


def test_shuffled_labels_cannot_be_learned(frozen):
    labels = frozen.train.labels
    labels[:] = np.random.default_rng(0).permutation(labels)
    assert scores(KNN(5), frozen)["top1"] < 0.7


@pytest.mark.parametrize("arguments", [{"k": 0}, {"temperature": 0.0}])
def test_values_out_of_range_are_named(arguments):
    with pytest.raises(bt_keras.UsageError, match=next(iter(arguments))):
        KNN(**arguments)
