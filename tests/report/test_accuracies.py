"""Which results are shown and compared."""

import dataclasses

import pytest

from bt_keras.evaluation.intervals import wilson
from bt_keras.report import accuracies
from tests.report.made_up import accuracy, rank


def test_the_newest_results_that_can_be_compared_are():
    knn = accuracy("untrained", 0.4), accuracy("pretrained", 0.5)
    newer = accuracy("pretrained", 0.6)
    linear = accuracy("pretrained", 0.8, "linear")
    other = dataclasses.replace(knn[0], source="cifar10", value=0.1)
    fewer = dataclasses.replace(knn[0], n=10, value=0.2)
    found = accuracies.compared((*knn, newer, linear, other, fewer))
    assert found == (newer, knn[0])
    assert accuracies.compared((newer, linear)) == (linear, None)
    assert accuracies.compared(()) == (None, None)


def test_the_highest_epoch_is_compared():
    untrained = accuracy("untrained", 0.4, epoch="0")
    last, first = (accuracy("pretrained", 0.5, epoch=epoch) for epoch in ("10", "9"))
    assert accuracies.compared((untrained, last, first)) == (last, untrained)


@pytest.mark.parametrize(
    ("result", "of_features"),
    [
        (accuracy("pretrained", 0.5), True),
        (accuracy("pretrained", 0.5, "finetune"), False),
        (accuracy("pretrained", 0.5, "semi"), False),
        (dataclasses.replace(accuracy("pretrained", 0.5), metric="top5"), False),
    ],
)
def test_accuracies_of_features_are_those_of_frozen_networks(result, of_features):
    assert accuracies.is_accuracy_of_features(result) is of_features


def test_ranks_of_embeddings_are_not_those_of_features():
    assert accuracies.is_rank_of_features(rank("pretrained", 9.0))
    assert not accuracies.is_rank_of_features(rank("pretrained", 9.0, "embeddings"))


def test_lines_have_intervals_and_means_over_seeds():
    results = (
        accuracy("pretrained", value, seed=seed)
        for value, seed in ((0.1, 0), (0.5, 0), (0.7, 1))
    )
    [row] = accuracies.accuracy_rows(results)
    assert row["accuracy"] == 60.0  # The newest of each seed.
    low, high = wilson(0.6, 2000)
    assert (row["low"], row["high"]) == pytest.approx((100 * low, 100 * high))
    assert row["network"] == "pretrained"


def test_results_of_lower_epochs_are_left_out():
    results = (
        accuracy("pretrained", 0.9, seed=1, epoch="9"),
        accuracy("pretrained", 0.5, seed=0, epoch="10"),
        accuracy("pretrained", 0.1, seed=0, epoch="9"),
    )
    [row] = accuracies.accuracy_rows(results)
    assert row["accuracy"] == 50.0


def test_sources_and_epochs_that_differ_are_named():
    results = (
        accuracy("pretrained", 0.5, source="shipped"),
        accuracy("pretrained", 0.4, source="cifar10", epoch="2"),
        accuracy("untrained", 0.1, source="shipped", epoch="0"),
    )
    names = [(r["evaluator"], r["network"]) for r in accuracies.accuracy_rows(results)]
    assert names == [
        ("knn, k=200, shipped", "pretrained, epoch 3"),
        ("knn, k=200, cifar10", "pretrained, epoch 2"),
        ("knn, k=200, shipped", "untrained"),
    ]
