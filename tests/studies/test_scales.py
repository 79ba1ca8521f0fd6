from bt_keras import config as config_lib
from bt_keras.studies.catalog import STUDIES
from bt_keras.studies.scales import (
    MOST_SEEDS,
    SCALES,
    configs,
    of_config,
    run_name,
)
from bt_keras.studies.study import Study, Variant


def test_seeds_are_set_and_names_sort_by_seed():
    study = STUDIES["loss"]
    names = []
    for seed in range(MOST_SEEDS):
        for name, config in configs(study, SCALES["small"], seed):
            assert config.seed == seed
            names.append(name)
    assert len(set(names)) == len(names)
    by_name = [name.partition("-")[0] for name in sorted(names)]
    assert by_name == [name.partition("-")[0] for name in names]
    assert names[0] == run_name(0, "baseline") == "seed0-baseline"


def test_the_scales_are_their_config_files():
    cifar, imagenet = SCALES["cifar"].recipe(), SCALES["imagenet"].recipe()
    assert config_lib.differences(cifar, config_lib.load("cifar10")) == []
    changed = config_lib.differences(imagenet, config_lib.default())
    assert changed == [("epochs", 300, 1000)]
    assert not SCALES["imagenet"].trains


def test_small_runs_are_smaller_than_the_demo():
    small, demo = SCALES["small"].recipe(), config_lib.load("demo")
    assert small.views.size < demo.views.size
    assert small.data.source == "shipped"
    assert small.threads == 1


def test_any_config_is_a_scale():
    config = config_lib.load("cifar10_fast")
    scale = of_config("fast", config)
    runs = dict(configs(STUDIES["asymmetry"], scale, seed=2))
    changed = {
        name: {field for field, *_ in config_lib.differences(run, config)}
        for name, run in runs.items()
    }
    assert changed.pop("seed2-baseline") == {"seed"}
    assert len(changed) == 3
    assert all(fields > {"seed"} for fields in changed.values())
    assert config_lib.differences(config, config_lib.load("cifar10_fast")) == []


def test_variants_that_do_not_apply_are_left_out():
    config = config_lib.load("demo")
    shown = (
        Variant("base"),
        Variant("never", applies=lambda config: config.epochs < 0),
    )
    study = Study("made_up", "", "", "base", shown)
    scale = of_config("demo", config)
    assert [name for name, _ in configs(study, scale, 0)] == ["seed0-base"]
