"""The sentences of the verdict, one case for each rule."""

import math

import numpy as np
import pytest

from bt_keras.report.contents import Spectrum
from bt_keras.report.verdicts import verdict
from tests.report.made_up import accuracy, contents, curves, rank


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
        f"The features of epoch 3 are {comparison} those of the untrained network: "
        f"top-1 accuracy {100 * trained:.1f} % on 2000 test images (knn, k=200) "
        f"instead of {100 * untrained:.1f} %."
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


def test_what_is_measured_on_labels_does_not_judge_the_features():
    tuned = accuracy("pretrained", 0.9, "finetune"), accuracy("pretrained", 0.8, "semi")
    sentence = verdict(contents(results=tuned))[1]
    assert sentence.startswith("The accuracy of the features is unknown:")


def test_the_source_is_named_if_there_are_several():
    results = (
        accuracy("pretrained", 0.7, source="shipped"),
        accuracy("pretrained", 0.6, source="cifar10"),
    )
    assert (
        "on 2000 test images of cifar10 (knn" in verdict(contents(results=results))[1]
    )


def test_without_labels_the_rank_is_named():
    before, after = (rank(*pair) for pair in (("untrained", 2.5), ("pretrained", 31.2)))
    sentence = verdict(contents(results=(before, after)))[1]
    assert sentence == (
        "Without labels, the features of epoch 3 have the effective rank 31.2 instead "
        "of 2.5 before training (RankMe of 500 images); their accuracy is unknown: "
        "`bt-keras evaluate --workdir=runs/demo` measures it if the images have labels."
    )
    assert "before training" not in verdict(contents(results=(after,)))[1]
