import math

import numpy as np
import pytest

import bt_keras
from bt_keras import config
from bt_keras.evaluation.finetune import FineTuning
from tests.evaluation.gray import trainable


@pytest.fixture
def frozen():
    return trainable()


def test_the_defaults_are_the_papers_protocol():
    """Section 4.1: 20 epochs, a batch of 256, 0.002 for the backbone, 0.5 for the
    classifier."""
    paper = FineTuning(**config.default().evaluation.finetune)
    assert paper.rates()["pretrained"] == (0.5, 0.002)
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
        keys.append((first.backbone, *first.settings.values(), first.seed))
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


@pytest.mark.parametrize(
    ("arguments", "part"),
    [({"shares": (0.1, 0.0)}, "0.0"), ({"shares": (1.5,)}, "1.5"), ({"seeds": 0}, "0")],
)
def test_values_out_of_range_are_named(arguments, part):
    with pytest.raises(bt_keras.UsageError, match=part):
        FineTuning(**arguments)
