"""Images with several labels each: where the labels come from, and the protocol."""

import logging
import sys

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras import config, data
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.multilabel import MultiLabel, read_label_sets
from bt_keras.evaluation.target import EvaluationTarget
from tests.evaluation import multi_label

COUNTS = {"train": 400, "test": 100}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return multi_label.write(tmp_path_factory.mktemp("pictures"), COUNTS)


def expected_sets(split):
    _, labels = multi_label.pictures(split, COUNTS[split], seed=len(split))
    return (labels[..., np.newaxis] == np.arange(10)).any(axis=1).astype("int8")


@pytest.mark.parametrize("split", COUNTS)
def test_the_labels_are_the_classes_that_occur(folder, split):
    source = data.load(folder, split)
    np.testing.assert_array_equal(read_label_sets(source), expected_sets(split))
    assert source.class_names is None
    assert source.label_names[9] == "Ankle boot"
    assert f"{COUNTS[split]} images with any of 10 labels" in source.describe()


def test_difficult_objects_are_uncertain(tmp_path):
    path = multi_label.write(tmp_path, {"test": 100}, difficult=True)
    _, labels = multi_label.pictures("test", 100, seed=4)
    sets = read_label_sets(data.load(path, "test"))
    expected = np.zeros((100, 10), "int8")
    for row, (certain, uncertain) in zip(expected, labels, strict=True):
        row[uncertain] = -1
        row[certain] = 1
    np.testing.assert_array_equal(sets, expected)
    assert (sets == -1).any()


def color_backbone():
    """Returns a network whose features are 7 x 7 average colors."""
    inputs = keras.Input((28, 28, 3))
    pooled = keras.layers.AveragePooling2D(4)(inputs)
    return keras.Model(inputs, keras.layers.Flatten()(pooled))


@pytest.fixture
def target(folder):
    recipe = config.default()
    recipe.data.source = str(folder)
    recipe.data.test_split = "test"
    recipe.views.size = 28
    recipe.evaluation.resize_ratio = 1.0
    recipe.evaluation.multilabel.costs = (0.1, 1.0)
    return EvaluationTarget(color_backbone(), recipe, epoch="3")


def test_pictures_of_shipped_images(target):
    [result] = evaluate(target, protocol="multilabel")
    assert (result.metric, result.n) == ("mean average precision", 100)
    assert result.settings == {"classes": 10, "folds": 3}
    # Chance is the mean share of the images with a class.
    assert result.value > expected_sets("test").mean() + 0.1


def test_all_skips_what_needs_one_label(target, capsys):
    results = evaluate(target, protocol="all")
    assert {r.protocol for r in results} == {"multilabel", "labelfree"}
    assert "knn is skipped: evaluation needs labels" in capsys.readouterr().out


def test_rare_classes_are_left_out_with_a_warning(target, caplog):
    with caplog.at_level(logging.WARNING):
        results = evaluate(target, protocol="multilabel", test_split="test[:3]")
    assert results[0].settings["classes"] < 10
    assert "have too few images" in caplog.text


@pytest.mark.parametrize("arguments", [{"costs": (0,)}, {"folds": 1}])
def test_values_out_of_range_are_named(arguments):
    with pytest.raises(bt_keras.UsageError, match=next(iter(arguments))):
        MultiLabel(**arguments)


def test_scikit_learn_is_needed(target, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(bt_keras.UsageError, match=r"pip install 'bt-keras\[multila"):
        evaluate(target, protocol="multilabel")
