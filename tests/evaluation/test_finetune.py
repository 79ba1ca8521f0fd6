import math

import numpy as np
import pytest

import bt_keras
from bt_keras import config
from bt_keras.evaluation.finetune import FineTuning
from bt_keras.evaluation.settings import TRAINING_SETTINGS
from tests.evaluation.gray import trainable


@pytest.fixture
def frozen():
    return trainable()


def test_the_defaults_are_the_papers_protocol():
    """Section 4.1: 20 epochs, a batch of 256, 0.002 for the backbone, 0.5 for the
    classifier."""
    paper = FineTuning(**config.default().evaluation.finetune)
    assert paper.shares == (1.0,)
    assert paper.given_rates()["pretrained"] == (0.5, 0.002)
    assert paper.steps(12_811) == math.ceil(20 * 12_811 / 256)
    assert paper.momentum == 0.9


@pytest.mark.parametrize(
    ("num_images", "steps"), [(3, 40), (256, 40), (257, 40), (2560, 200), (2561, 201)]
)
def test_few_images_get_the_least_number_of_steps(num_images, steps):
    assert FineTuning(epochs=20, min_steps=40).steps(num_images) == steps


def measured(evaluator, frozen):
    """Returns (backbone, share, labeled images, seed, steps) and scores of each run."""
    keys, scores = [], []
    for results in evaluator.run(frozen):
        first = results[0]
        about = (first.settings[name] for name in TRAINING_SETTINGS)
        keys.append((first.backbone, *about, first.seed))
        scores.append({result.metric: result.value for result in results})
    return keys, scores


def test_separate_classes_are_recognized(frozen):
    before = frozen.backbone.get_weights()
    settings = {"epochs": 10, "batch_size": 8, "scratch_learning_rate": 0.2}
    keys, scores = measured(FineTuning((1.0,), seeds=1, **settings), frozen)
    assert keys == [("pretrained", 1.0, 120, 150, 0), ("scratch", 1.0, 120, 150, 0)]
    assert all(accuracies["top5"] == 1 for accuracies in scores)
    assert all(accuracies["top1"] > 0.9 for accuracies in scores), scores
    for ours, theirs in zip(frozen.backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_runs_are_ordered_and_reproducible(frozen):
    """Every share, every seed, both networks; the same seed gives the same scores."""
    all_results = list(FineTuning((0.1, 0.2), 2, epochs=1).run(frozen))
    assert list(FineTuning((0.1,), 1, epochs=1).run(frozen)) == all_results[:2]
    runs = [(r.settings["images"], r.seed, r.backbone) for r, _ in all_results]
    assert runs == [
        (images, seed, backbone)
        for images in (12, 24)
        for seed in (0, 1)
        for backbone in ("pretrained", "scratch")
    ]


class Recorded(FineTuning):
    """Records rates and images instead of training; 0.2 is the best rate."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self._trained = []

    def train(self, classifier, source, size, seed, backbone, statistics, rates):
        self._trained.append((backbone, source.num_images, rates))
        self._prepared.classifier = self

    def test(self, batches):
        images = sum(len(labels) for _, labels in batches)
        rates = self._trained[-1][2]
        self._trained[-1] += (images,)
        return {"top1": 1 - abs(rates[1] - 0.2), "top5": 1.0}


def test_the_rates_of_the_grid_are_chosen_on_held_out_labels(frozen):
    evaluator = Recorded(
        seeds=1,
        rates="grid",
        grid_learning_rates=(0.1, 0.2, 0.4),
        grid_head_learning_rates=(0.3, 0.5),
        grid_scratch_learning_rates=(0.1, 0.2),
    )
    results = [first for first, _ in evaluator.run(frozen)]
    *tried, (backbone, count, rates, tested) = evaluator._trained[:7]
    # Four fifths of 120 images to train on, and the others to test on.
    assert {(t[0], t[1], t[3]) for t in tried} == {("pretrained", 96, 24)}
    heads, backbones = (0.3, 0.5), (0.1, 0.2, 0.4)
    assert [t[2] for t in tried] == [(h, b) for h in heads for b in backbones]
    # Of equally good ones the first. All images, and the real test images.
    assert (backbone, count, rates, tested) == ("pretrained", 120, (0.3, 0.2), 60)
    assert evaluator._trained[-1] == ("scratch", 120, (0.2, 0.2), 60)
    assert [r.settings["rates"] for r in results] == ["grid", "grid"]
    chosen = [
        (r.settings["head_learning_rate"], r.settings["learning_rate"]) for r in results
    ]
    assert chosen == [(0.3, 0.2), (0.2, 0.2)]


def test_results_name_the_given_rates(frozen):
    rates = {"learning_rate": 0.3, "head_learning_rate": 0.4}
    evaluator = Recorded(seeds=1, scratch_learning_rate=0.2, **rates)
    first, second = [result.settings for result, _ in evaluator.run(frozen)]
    assert {**first, **rates} == first
    assert {second[name] for name in rates} == {0.2}
    assert "rates" not in first


def test_parts_are_measurements_of_their_own():
    """A further share or seed does not change the settings of the others."""
    few, more = FineTuning((0.1,), 1), FineTuning((0.1, 0.2), 2)
    settings = [part.settings() for part in more.parts()]
    assert [part.settings() for part in few.parts()] == settings[:2]
    assert len(settings) == 8
    assert all(settings.count(each) == 1 for each in settings)
    assert FineTuning((0.1,), 1, epochs=3).parts()[0].settings() not in settings


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"rates": "best"}, "best"),
        ({"shares": (0.1, 0.0)}, "0.0"),
        ({"shares": (1.5,)}, "1.5"),
        ({"seeds": 0}, "0"),
    ],
)
def test_values_out_of_range_are_named(arguments, part):
    with pytest.raises(bt_keras.UsageError, match=part):
        FineTuning(**arguments)
