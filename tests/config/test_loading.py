import json
import re
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from bt_keras import UsageError, config

CONFIGS = sorted(Path(config.__file__).parents[1].glob("configs/[a-z]*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_loads_by_path_and_by_name_and_is_valid(path):
    loaded = config.load(path)
    config.check(loaded)
    assert config.differences(loaded, config.load(path.stem)) == []
    assert config.differences(config.from_json(config.to_json(loaded)), loaded) == []


def test_default_has_the_papers_values():
    default = config.load("default")
    # Section 2.2 of the paper; the rates are for a batch of 256.
    assert default.batch_size == 2048
    assert default.epochs == 1000
    assert default.projector == (8192, 8192, 8192)
    assert default.optimizer.learning_rate * default.batch_size / 256 == 1.6
    assert default.optimizer.options.weight_decay == 1.5e-6
    assert default.lambd == 5e-3


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


def test_a_field_that_an_old_config_lacks_gets_its_default():
    old = json.loads(config.to_json(config.load("demo")))
    del old["microbatches"], old["backbone"]["features"]
    assert (
        config.differences(config.from_json(json.dumps(old)), config.load("demo")) == []
    )


def test_a_config_from_before_the_fields_of_single_views():
    old = json.loads(config.to_json(config.load("demo")))
    del old["views"]["a"], old["views"]["b"]
    restored = config.from_json(json.dumps(old))
    config.check(restored)
    assert config.differences(restored, config.load("demo")) == []


def test_fields_of_single_views_are_kept_and_compared():
    mine = config.load("demo")
    mine.views.a.crop_scale = (0.2, 1.0)
    mine.views.b = {"rotate": 0.75}
    config.check(mine)
    restored = config.from_json(config.to_json(mine))
    config.check(restored)
    assert config.differences(restored, mine) == []
    assert config.differences(mine, config.load("demo")) == [
        ("views.a.crop_scale", [0.2, 1.0], "(none)"),
        ("views.b.rotate", 0.75, "(none)"),
    ]


def test_an_unknown_field_cannot_be_set():
    default = config.default()
    with pytest.raises(AttributeError, match="batch_size"):
        default.bach_size = 4


def test_similar_names_are_suggested():
    with pytest.raises(UsageError, match=r"did you mean cifar10, cifar100, cifar"):
        config.load("cifar")


def test_configs_set_only_values_that_differ_from_the_default():
    for path in CONFIGS:
        changed = config.differences(config.default(), config.load(path))
        names = {field for field, *_ in changed}
        for name in re.findall(r"^    config\.([\w.]+) =", path.read_text(), re.M):
            # A dict is one assignment of several fields.
            assert any(f"{n}.".startswith(f"{name}.") for n in names) or (
                path.stem == "default"
            ), (path, name)


NUMBERS = [
    field
    for field, value in config.fields(config.default()).items()
    if isinstance(value, (int, float)) and not isinstance(value, bool)
]


def with_value(field, value):
    """A config as a damaged config.json gives it: with a value of any type."""
    values = json.loads(config.to_json(config.default()))
    *path, last = field.split(".")
    section = values
    for key in path:
        section = section[key]
    section[last] = value
    # Not `from_json`, which checks the types.
    return ConfigDict(values, convert_dict=True)


@pytest.mark.parametrize("field", NUMBERS)
def test_every_number_must_be_a_finite_number(field):
    for value in (float("nan"), float("inf"), float("-inf"), -1, True, "3", None, [3]):
        with pytest.raises(UsageError, match=rf"^config\.{field} is [^\n]*$"):
            config.check(with_value(field, value))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("batch_size", 8.0, "must be an integer"),
        ("epochs", 2**31, "must be an integer"),
        ("backbone.width", 1e39, "must be a finite number > 0"),
        ("evaluation.resize_ratio", 0.5, "must be a number in [1, 1000]"),
        ("projector", [], "must be one or more ints > 0"),
        ("projector", [8, 8.0], "must be one or more ints > 0"),
        ("projector", 512, "must be one or more ints > 0"),
        ("data.skip_corrupt", 1, "must be True or False"),
        ("data.source", 3, "must be a string"),
        ("views.recipe", None, "must be a string"),
        ("optimizer.options.momentum", 1.0, "must be a number in [0, 1)"),
        ("optimizer.options.clipnorm", float("nan"), "must be a finite number, a"),
        ("optimizer.options.other", [1, float("inf")], "must be a finite number, a"),
        ("optimizer.options", None, "must be a dict"),
        ("optimizer.warmup_epochs", 1000, "[0, config.epochs)"),
        ("precision", "int8", "not one of"),
        ("views.a", None, "must be a dict"),
        ("views.a.crop_scal", [0.2, 1.0], "no such field; did you mean crop_scale"),
        ("views.b.crop_scale", [0.2, 1.5], "must be (low, high) with low <= high, eac"),
        ("views.b.threshold", 0.5, "must be an integer in [0, 256]"),
    ],
)
def test_values_of_another_type_or_range(field, value, message):
    with pytest.raises(UsageError, match=rf"^config\.{field}.*{re.escape(message)}"):
        config.check(with_value(field, value))


def test_a_value_that_json_does_not_hold():
    mine = config.default()
    mine.optimizer.options.exclude = {1, 2}
    with pytest.raises(UsageError, match=r"options\.exclude is <set>"):
        config.check(mine)


def test_a_missing_field():
    mine = config.default()
    with mine.unlocked():
        del mine.views.size
    with pytest.raises(UsageError, match=r"^config\.views\.size is missing\.$"):
        config.check(mine)
