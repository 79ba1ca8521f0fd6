import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import data
from bt_keras.evaluation import (
    KNN,
    CachedLinearProbe,
    Features,
    FrozenBackbone,
    LinearProbe,
)
from bt_keras.evaluation.knn import ranked_classes


@pytest.fixture
def frozen():
    """Three classes of grey level, and a backbone that sees the mean colour."""

    def source(count, seed):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 3, count)
        levels = 40 + 70 * labels[:, None, None, None]
        images = levels + rng.integers(0, 30, (count, 8, 8, 3))
        images = tf.data.Dataset.from_tensor_slices((images.astype("uint8"), labels))
        return data.from_dataset(images, class_names=("dark", "grey", "light"))

    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    # Random features of the mean colour: its direction and its length.
    backbone = keras.Model(inputs, keras.layers.Dense(16, "tanh")(pooled))
    return FrozenBackbone(
        backbone, source(120, 0), source(60, 1), size=8, resize_ratio=1.0, batch_size=32
    )


def numpy_ranking(queries, bank, labels, classes, k, temperature):
    """Votes by a loop over neighbours, exp(s / temperature) as in the paper."""
    ranking = []
    for similarities in queries @ bank.T:
        votes = np.zeros(classes)
        for nearest in np.argsort(-similarities)[:k]:
            votes[labels[nearest]] += np.exp(similarities[nearest] / temperature)
        order = np.argsort(-votes, kind="stable")[:5]
        ranking.append(np.where(votes[order] > 0, order, -1))
    return ranking


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (5, 0.1), (40, 1.0)])
def test_knn_ranks_as_a_loop_over_the_neighbours(k, temperature):
    rng = np.random.default_rng(0)
    queries, bank = (
        x / np.linalg.norm(x, axis=1, keepdims=True)
        for x in (rng.normal(size=(7, 6)), rng.normal(size=(40, 6)))
    )
    labels = rng.integers(0, 8, 40)
    ours = ranked_classes(
        queries.astype("f4"), bank.astype("f4"), labels, 8, k, temperature
    )
    theirs = numpy_ranking(queries, bank, labels, 8, k, temperature)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("k", "temperature"), [(3, 0.1), (200, 1e-3)])
def test_knn_gives_chance_for_labels_that_mean_nothing(k, temperature):
    """Few votes and tiny temperatures tie; a tie is not a hit."""
    rng = np.random.default_rng(0)
    train, test = (
        Features(rng.normal(size=(n, 8)).astype("f4"), rng.integers(0, 10, n))
        for n in (2000, 1000)
    )
    frozen = types.SimpleNamespace(train=train, test=test, num_classes=10)
    scores = dict(KNN(k, temperature).run(frozen))
    assert 0.05 < scores["top1"] < 0.15
    assert scores["top5"] < 0.6


@pytest.mark.parametrize(
    "evaluator",
    [
        KNN(k=10),
        KNN(k=10_000),  # more than there are images
        LinearProbe(epochs=8, batch_size=16),
        CachedLinearProbe(epochs=10, batch_size=16),
    ],
    ids=["knn", "knn of all", "linear", "linear_cached"],
)
def test_classes_that_are_apart_are_told_apart(frozen, evaluator):
    scores = dict(evaluator.run(frozen))
    assert scores["top1"] > 0.9
    assert scores["top5"] == 1


@pytest.mark.parametrize("evaluator", [KNN(5), CachedLinearProbe(epochs=5)])
def test_shuffled_labels_cannot_be_learnt(frozen, evaluator):
    labels = frozen.train.labels
    labels[:] = np.random.default_rng(0).permutation(labels)
    assert dict(evaluator.run(frozen))["top1"] < 0.7


def test_the_probe_leaves_the_backbone_alone(frozen):
    before = [w.numpy() for w in frozen.backbone.weights]
    dict(LinearProbe(epochs=1).run(frozen))
    for a, b in zip(before, frozen.backbone.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_features_are_of_centre_crops_in_file_order(frozen):
    images, labels = zip(*frozen.test_source.dataset(), strict=True)
    np.testing.assert_array_equal(frozen.test.labels, labels)
    pixels = np.stack(images) / 255.0
    normalised = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = frozen.backbone(normalised.astype("float32"))
    np.testing.assert_allclose(frozen.test.features, expected, atol=1e-5)


def test_labels_are_asked_for(frozen):
    unlabelled = data.from_dataset(
        tf.data.Dataset.from_tensor_slices(np.zeros((4, 8, 8, 3), "uint8"))
    )
    with pytest.raises(bt_keras.UsageError, match="needs labels"):
        FrozenBackbone(frozen.backbone, unlabelled, unlabelled, 8, 1.0, 4)


@pytest.mark.parametrize("arguments", [{"k": 0}, {"temperature": 0.0}])
def test_values_out_of_range_are_named(arguments):
    with pytest.raises(bt_keras.UsageError, match=next(iter(arguments))):
        KNN(**arguments)
