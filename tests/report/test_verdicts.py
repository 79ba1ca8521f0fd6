"""The sentences of the verdict, one case for each rule."""

import dataclasses
import math

import numpy as np
import pytest

from bt_keras.report.contents import Spectrum
from bt_keras.report.verdicts import compared, verdict
from tests.report.made_up import accuracy, contents, curves


def spectrum(rank, width=32):
    return (Spectrum("epoch 3", np.ones(3), rank, width, 2000),)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"epochs": 0}, "No epoch is finished yet."),
        (
            {"final_loss": math.nan},
            "Training has failed: the loss of epoch 3 is not finite.",
        ),
        (
            {"spectra": spectrum(1.2)},
            "The features have collapsed: of 32 dimensions, they use 1.2 (effective "
            "rank).",
        ),
        (
            {"spectra": spectrum(0.0)},
            "The features have collapsed: of 32 dimensions, they use 0.0 (effective "
            "rank).",
        ),
        (
            {"curves": curves([100.0, 90.0, 96.0])},
            "Training has had little effect: the loss is 96 after epoch 3 and was 100 "
            "after the first.",
        ),
        (
            {"spectra": spectrum(3.0, width=100)},
            "Training is complete after 3 epochs: the loss fell from 100 to 70, and "
            "the features only use 3 of 100 dimensions (effective rank).",
        ),
        (
            {"spectra": spectrum(3.0, width=60)},
            "Training is complete after 3 epochs: the loss fell from 100 to 70, and "
            "the features use 3 of 60 dimensions (effective rank).",
        ),
        (
            {"total_epochs": 9, "spectra": ()},
            "Training is at epoch 3 of 9: the loss fell from 100 to 70.",
        ),
        (
            {"epochs": 1, "total_epochs": 1, "spectra": (), "curves": curves([9.0])},
            "Training is complete after 1 epoch.",
        ),
    ],
)
def test_training(changes, sentence):
    assert verdict(contents(**changes))[0] == sentence


@pytest.mark.parametrize(
    ("untrained", "trained", "comparison"),
    [
        (0.5, 0.7, "better than"),
        (0.7, 0.5, "worse than"),
        (0.50, 0.52, "not measurably different from"),
    ],
)
def test_features_are_compared_by_their_intervals(untrained, trained, comparison):
    measured = accuracy("untrained", untrained), accuracy("pretrained", trained)
    sentence = verdict(contents(results=measured))[1]
    assert sentence == (
        f"The features are {comparison} those of the untrained network: top-1 accuracy "
        f"{100 * trained:.1f} % on 2000 test images (knn, k=200) instead of "
        f"{100 * untrained:.1f} %."
    )


def test_the_same_difference_on_few_images_is_not_measurable():
    results = accuracy("untrained", 0.5, n=10), accuracy("pretrained", 0.7, n=10)
    assert "not measurably different" in verdict(contents(results=results))[1]


def test_features_without_a_comparison_and_without_accuracy():
    alone = verdict(contents(results=(accuracy("pretrained", 0.7),)))[1]
    assert "reach top-1 accuracy 70.0 %" in alone
    assert "`bt-keras evaluate --workdir=runs/demo --untrained`" in alone
    none = verdict(contents(results=()))[1]
    assert "is unknown: `bt-keras evaluate --workdir=runs/demo`" in none


def test_the_newest_results_that_can_be_compared_are():
    knn = accuracy("untrained", 0.4), accuracy("pretrained", 0.5)
    newer = accuracy("pretrained", 0.6)
    linear = accuracy("pretrained", 0.8, "linear")
    other = dataclasses.replace(knn[0], source="cifar10", value=0.1)
    top5 = dataclasses.replace(newer, metric="top5", value=1.0)
    assert compared((*knn, newer, linear, other, top5)) == (newer, knn[0])
    assert compared((newer, linear)) == (linear, None)
    assert compared(()) == (None, None)
