import importlib.util
import json
from pathlib import Path

import pytest

from bt_keras import UsageError, config

RECIPES = sorted(Path(config.__file__).parents[1].glob("configs/[a-z]*.py"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_by_path_and_by_name_and_is_usable(path):
    recipe = config.load(path)
    config.check(recipe)
    assert config.differences(recipe, config.load(path.stem)) == []
    assert config.differences(config.from_json(config.to_json(recipe)), recipe) == []


def test_default_is_the_papers_recipe():
    recipe = config.load("default")
    # Section 2.2 of the paper; the rates are for a batch of 256.
    assert recipe.batch_size == 2048
    assert recipe.epochs == 1000
    assert recipe.projector == (8192, 8192, 8192)
    assert recipe.optimizer.learning_rate * recipe.batch_size / 256 == 1.6
    assert recipe.optimizer.options.weight_decay == 1.5e-6
    assert recipe.lambd == 5e-3


def test_differences_name_nested_fields():
    ours, theirs = config.default(), config.default()
    theirs.views.size = 96
    theirs.optimizer.options = {"weight_decay": 0.1}
    assert config.differences(ours, theirs) == [
        ("optimizer.options.momentum", 0.9, "(none)"),
        ("optimizer.options.trust_coefficient", 1e-3, "(none)"),
        ("optimizer.options.weight_decay", 1.5e-6, 0.1),
        ("views.size", 224, 96),
    ]


def test_a_run_from_before_a_field_has_its_default():
    old = json.loads(config.to_json(config.load("demo")))
    del old["microbatches"]
    assert (
        config.differences(config.from_json(json.dumps(old)), config.load("demo")) == []
    )


def test_a_field_that_does_not_exist_cannot_be_set():
    recipe = config.default()
    with pytest.raises(AttributeError, match="batch_size"):
        recipe.bach_size = 4


def test_near_names_are_suggested():
    with pytest.raises(UsageError, match=r"did you mean cifar10\?"):
        config.load("cifar")


def test_recipes_start_from_the_default_alone():
    """A recipe says what differs; nothing is set to what it is already."""
    for path in RECIPES:
        if path.stem == "default":
            continue
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        changed = config.differences(config.default(), module.get_config())
        lines = path.read_text().count("    config.")
        assert len(changed) >= lines, path
