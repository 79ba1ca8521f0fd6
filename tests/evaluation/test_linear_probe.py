import numpy as np
import pytest

from bt_keras.evaluation.cached_linear_probe import CachedLinearProbe
from bt_keras.evaluation.linear_probe import LinearProbe
from tests.evaluation.gray import scores


@pytest.mark.parametrize(
    "evaluator",
    [LinearProbe(epochs=8, batch_size=16), CachedLinearProbe(epochs=10, batch_size=16)],
    ids=["linear", "linear_cached"],
)
def test_separate_classes_are_recognized(frozen, evaluator):
    accuracies = scores(evaluator, frozen)
    assert accuracies["top1"] > 0.9
    assert accuracies["top5"] == 1


def test_shuffled_labels_cannot_be_learned(frozen):
    labels = frozen.train.labels
    labels[:] = np.random.default_rng(0).permutation(labels)
    assert scores(CachedLinearProbe(epochs=5), frozen)["top1"] < 0.7


def test_the_backbone_is_not_changed(frozen):
    before = [w.numpy() for w in frozen.backbone.weights]
    scores(LinearProbe(epochs=1), frozen)
    for a, b in zip(before, frozen.backbone.weights, strict=True):
        np.testing.assert_array_equal(a, b)
