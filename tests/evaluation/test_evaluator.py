"""The contract of evaluators, and how they are built from a config."""

import importlib

import numpy as np
import pytest

from bt_keras import UsageError, config
from bt_keras.evaluation import evaluator as evaluator_module
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.evaluator import (
    EVALUATORS,
    PROTOCOLS,
    Evaluator,
    build_evaluator,
    evaluator_names,
)
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.tables import results_table
from bt_keras.evaluation.target import EvaluationTarget


@pytest.mark.parametrize("name", EVALUATORS)
def test_every_evaluator_is_built_from_its_config_entry(name):
    recipe = config.default()
    evaluator = build_evaluator(name, recipe.evaluation, seed=5)
    assert evaluator.name == name
    assert isinstance(evaluator, Evaluator)
    entry = dict(recipe.evaluation[evaluator.config_entry])
    if name == "linear":  # These are of linear_cached.
        del entry["rates"], entry["grid_learning_rates"]
    for argument, value in entry.items():
        assert getattr(evaluator, argument) == value
    assert getattr(evaluator, "seed", 5) == 5
    assert any(name in names for names in PROTOCOLS.values())


def test_overrides_replace_values_of_the_config():
    recipe = config.default()
    knn = build_evaluator("knn", recipe.evaluation, seed=0, k=7)
    assert (knn.k, knn.temperature) == (7, recipe.evaluation.knn.temperature)


def test_protocols_are_joined():
    assert evaluator_names("semi, cached,full") == (
        *("semi", "knn", "linear_cached", "linear"),
    )
    assert evaluator_names("all") == tuple(EVALUATORS)
    with pytest.raises(UsageError, match="'half' is not one of knn"):
        evaluator_names("knn,half")


class FeatureNorm(Evaluator):
    """A label-free evaluator, as a user would add one."""

    name = "feature_norm"
    config_entry = "feature_norm"
    needs_labels = False

    def __init__(self, order):
        self.order = order

    def run(self, frozen):
        features = frozen.test.features
        norm = float(np.linalg.norm(features, self.order, axis=1).mean())
        settings = {"order": self.order}
        yield [Result(self.name, "norm", norm, n=len(features), settings=settings)]


def test_a_new_evaluator_is_one_class_and_one_config_entry(frozen, monkeypatch):
    home = f"{__name__}.FeatureNorm"
    monkeypatch.setitem(evaluator_module.EVALUATORS, "feature_norm", home)
    monkeypatch.setitem(PROTOCOLS, "feature_norm", ("feature_norm",))
    assert importlib.import_module(__name__).FeatureNorm is FeatureNorm
    recipe = config.default()
    with recipe.unlocked():
        recipe.evaluation.feature_norm = {"order": 2}
    recipe.data.source = "shipped"
    recipe.data.test_split = "test[:32]"
    recipe.views.size = 8
    target = EvaluationTarget(frozen.backbone, recipe, epoch="3")
    [result] = evaluate(target, protocol="feature_norm")
    assert (result.backbone, result.epoch, result.n) == ("pretrained", "3", 32)
    header, _, line = results_table([result]).splitlines()
    assert header.split()[-3:] == ["norm", "test", "images"]
    assert line.split()[-2:] == [f"{result.value:.4g}", "32"]
