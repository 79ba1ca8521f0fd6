import pytest

from bt_keras import config as config_lib
from bt_keras.studies.study import Study, Variant


def study(*variants, baseline="a"):
    return Study("s", "A study", "nowhere", baseline, variants)


def test_fields_of_all_sections_are_set_and_nothing_else():
    config = config_lib.load("demo")
    fields = {
        "lambd": 0.0,
        "projector": (8, 8),
        "views.b.jitter": 0.0,
        "method.options.invariance": 0.5,
        "optimizer.learning_rate": 3.0,
    }
    Variant("v", fields).apply(config)
    changed = config_lib.differences(config, config_lib.load("demo"))
    assert {name: value for name, value, _ in changed} == {
        **fields,
        "projector": [8, 8],  # As in JSON.
    }
    config_lib.check(config)


def test_functions_see_the_unchanged_config():
    config = config_lib.load("demo")
    before = config.optimizer.learning_rate, config.batch_size
    variant = Variant(
        "v",
        {
            "batch_size": lambda config: 2 * config.batch_size,
            "optimizer.learning_rate": lambda config: (
                config.optimizer.learning_rate * config.batch_size
            ),
        },
    )
    variant.apply(config)
    assert config.batch_size == 2 * before[1]
    assert config.optimizer.learning_rate == before[0] * before[1]


def test_an_unknown_field_is_an_error():
    with pytest.raises(KeyError):
        Variant("v", {"optimizer.rate": 0.1}).apply(config_lib.load("demo"))


def test_variants_are_compared_with_the_baseline_or_another():
    made = study(Variant("a"), Variant("b"), Variant("c", against="b"))
    assert [made.reference(v).name for v in made.variants] == ["a", "a", "b"]


@pytest.mark.parametrize(
    ("variants", "baseline", "message"),
    [
        ((Variant("a"), Variant("a")), "a", "same name"),
        ((Variant("a"),), "b", "no variants"),
        ((Variant("a"), Variant("b", against="c")), "a", "no variants"),
    ],
)
def test_invalid_studies(variants, baseline, message):
    with pytest.raises(ValueError, match=message):
        study(*variants, baseline=baseline)
