"""The studies have the figures of the papers, and configs that runs can use."""

import re

import numpy as np
import pytest

from bt_keras import UsageError
from bt_keras import config as config_lib
from bt_keras.model.from_config import build_model
from bt_keras.networks.resnet import DEPTHS
from bt_keras.studies.catalog import STUDIES
from bt_keras.studies.scales import SCALES, configs, of_config


def made(study, scale="small"):
    return {
        name.removeprefix("seed0-"): config
        for name, config in configs(STUDIES[study], SCALES[scale], seed=0)
    }


def papers(study):
    return {v.name: v.paper for v in STUDIES[study].variants if v.paper is not None}


def test_names():
    assert list(STUDIES) == [
        *("loss", "asymmetry", "batch_size", "augmentations", "projector", "lambd"),
        *("methods", "method_rates"),
    ]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("study", STUDIES)
def test_all_configs_are_valid_and_differ(study, scale):
    found = made(study, scale)
    for config in found.values():
        config_lib.check(config)
    assert len({config_lib.to_json(config) for config in found.values()}) == len(found)
    assert STUDIES[study].baseline in found


@pytest.mark.parametrize("study", STUDIES)
def test_variants_differ_from_the_baseline_only_in_their_fields(study):
    variants, found = STUDIES[study].variants, made(study)
    base = SCALES["small"].recipe()
    for variant in variants:
        if variant.name in found:
            changed = config_lib.differences(found[variant.name], base)
            names = {name for name, _, _ in changed}
            assert names <= {field for field in variant.fields}, variant.name


def test_the_figures_of_tables_5_and_6():
    assert papers("loss") == {
        "baseline": 71.4,
        "invariance_only": 57.3,
        "redundancy_only": 0.1,
        "along_features": 69.8,
        "no_batch_norm": 71.2,
        "covariance": 53.4,
        "cross_entropy": 63.3,
    }
    assert papers("asymmetry") == {
        **{"baseline": 71.4, "stop_gradient": 70.5, "predictor": 70.2, "both": 61.3}
    }
    for study in ("augmentations", "lambd"):  # Only plotted.
        assert list(papers(study).values()) == [71.4]
    assert papers("projector") == {}


def test_predictors_are_as_wide_as_the_embeddings():
    for scale, width in (("small", 512), ("imagenet", 8192)):
        options = made("asymmetry", scale)["both"].method.options
        assert options.to_dict() == {"stop_gradient": True, "predictor_width": width}


def test_learning_rates_follow_the_author_for_the_batch_size():
    rates = {
        name: config.optimizer.learning_rate
        for name, config in made("batch_size", "imagenet").items()
    }
    author = {64: 1.0, 128: 0.7, 256: 0.4, 512: 0.3, 1024: 0.25}
    for batch, rate in author.items():
        for method in ("barlow_twins", "simclr"):
            assert rates[f"{method}_{batch}"] == pytest.approx(rate)
    # Of the scale's own batch size, the rate is the scale's own.
    small = SCALES["small"].recipe()
    own = made("batch_size")[f"barlow_twins_{small.batch_size}"]
    assert own.optimizer.learning_rate == small.optimizer.learning_rate


def test_batch_sizes_without_a_rate_are_an_error():
    config = config_lib.load("demo")
    config.batch_size = 96
    with pytest.raises(UsageError, match="batch size, 96, which is known for 32, 64"):
        list(configs(STUDIES["batch_size"], of_config("", config), seed=0))


def test_simclr_is_that_of_the_methods_for_every_batch_size():
    batch = SCALES["small"].recipe().batch_size
    expected = made("methods")["simclr"]
    own = made("batch_size")[f"simclr_{batch}"]
    assert config_lib.differences(own, expected) == []
    rates = {"optimizer.learning_rate", "optimizer.bias_learning_rate"}
    for name, other in made("batch_size").items():
        if name.startswith("simclr_") and name != f"simclr_{batch}":
            changed = {field for field, *_ in config_lib.differences(other, own)}
            assert changed == {"batch_size", *rates}, name
            # Its loss is no sum over dimensions: biases have the whole rate.
            rate = other.optimizer.learning_rate
            assert other.optimizer.bias_learning_rate == rate, name


def test_each_method_is_compared_with_itself():
    study = STUDIES["batch_size"]
    assert {study.reference(v).name for v in study.variants} == {
        *("barlow_twins_256", "simclr_256")
    }
    assert study.variant("simclr_1024").paper == 67.4


def test_views_lose_one_augmentation_after_the_other():
    found = made("augmentations", "imagenet")
    removed = [
        {name for name, value in config.views.b.items() if value == 0}
        for config in found.values()
    ]
    assert removed == sorted(removed, key=len)
    assert found["crop"].views.a == found["crop"].views.b


def test_crop_and_blur_needs_a_recipe_with_blur():
    def variants(name, **blurs):
        config = config_lib.load(name)
        for view, blur in blurs.items():
            config.views[view].blur = blur
        scale = of_config(name, config)
        names = (name for name, _ in configs(STUDIES["augmentations"], scale, 0))
        return {name.removeprefix("seed0-") for name in names}

    assert "crop_and_blur" in variants("default")
    assert "crop_and_blur" not in variants("default", a=0.0, b=0.0)
    assert "crop_and_blur" not in variants("cifar10")
    assert "crop_and_blur" in variants("cifar10", b=0.5)


def test_the_supervised_method_has_the_classes_of_the_images(tmp_path):
    def classes(source):
        config = config_lib.load("cifar10")
        config.data.source = source
        runs = dict(configs(STUDIES["methods"], of_config("", config), seed=0))
        return runs["seed0-supervised"].method.options.num_classes

    assert classes("tfds:imagenet2012") == 1000
    assert classes("tfds:cifar10") == 10
    assert classes(str(tmp_path)) == 0  # The run counts them.


def test_rates_are_not_chosen_on_slices_of_a_folder(tmp_path):
    def splits(source, split="train"):
        config = config_lib.load("cifar10")
        config.data.source, config.data.train_split = source, split
        runs = configs(STUDIES["method_rates"], of_config("", config), seed=0)
        return {run.data.train_split for _, run in runs}

    with pytest.raises(UsageError, match="cannot divide 'train' of"):
        splits(str(tmp_path))
    with pytest.raises(UsageError, match="'unlabelled' of 'tfds:stl10'"):
        splits("tfds:stl10", "unlabelled")
    (tmp_path / "1.0.0").mkdir()
    (tmp_path / "1.0.0" / "dataset_info.json").write_text("{}")
    assert splits(str(tmp_path)) == splits(str(tmp_path / "1.0.0")) == {"train[:90%]"}


def test_a_config_of_another_method_is_an_error():
    config = config_lib.load("demo")
    config.method.options = {"implementation": "gram"}
    with pytest.raises(UsageError, match="a study sets the method of its runs"):
        of_config("", config)


def test_widths_and_depths():
    shapes = {n: config.projector for n, config in made("projector").items()}
    assert shapes["width_16"] == (16, 16, 16)
    assert shapes["width_4096"] == (4096,) * 3
    assert [len(shapes[f"depth_{d}"]) for d in (1, 2, 4)] == [1, 2, 4]


def test_configs_survive_json():
    for study in STUDIES:
        for config in made(study).values():
            again = config_lib.from_json(config_lib.to_json(config))
            assert config_lib.differences(config, again) == []


@pytest.mark.parametrize("study", ["loss", "asymmetry", "batch_size", "methods"])
def test_models_can_be_built(study, monkeypatch):
    monkeypatch.setitem(DEPTHS, 6, ("basic", (1, 1)))
    for name, config in made(study).items():
        config.backbone.depth = 6
        config.projector = (8, 8)
        model = build_model(config)
        options = config.method.options.to_dict()
        assert options.items() <= model.get_config().items(), name
        assert type(model).__name__ == config.method.name.rpartition(".")[2]


def test_the_figures_of_table_1():
    assert papers("methods") == {
        **{"barlow_twins": 73.2, "supervised": 76.5, "simclr": 69.3, "simsiam": 71.3},
        **{"byol": 74.3, "swav": 71.8, "vicreg": 73.2},
    }


def test_methods_have_one_of_three_rates():
    base, found = SCALES["small"].recipe().optimizer, made("method_rates")
    finals = made("methods")
    assert len(found) == 3 * len(finals)
    for name, final in finals.items():
        tried = [found[f"{name}_{factor}"] for factor in ("0.3", "1", "3")]
        rates = [config.optimizer.learning_rate for config in tried]
        np.testing.assert_allclose(rates, np.multiply((0.3, 1, 3), base.learning_rate))
        # Biases have the rate of the others if the loss is small.
        whole = name not in ("barlow_twins", "mixed")
        bias = base.learning_rate if whole else base.bias_learning_rate
        for config in (*tried, final):
            ratio = config.optimizer.bias_learning_rate / config.optimizer.learning_rate
            assert ratio == pytest.approx(bias / base.learning_rate)
        assert final.optimizer.learning_rate in rates
        assert final.method == tried[0].method


@pytest.mark.parametrize("scale", SCALES)
def test_rates_are_chosen_on_images_that_no_run_tests_on(scale):
    finals = made("methods", scale)["simclr"].data
    for config in made("method_rates", scale).values():
        splits = config.data.train_split, config.data.test_split
        assert finals.test_split not in splits
        train, test = map(_range, splits)
        assert train.stop <= test.start


def _range(split):
    """Returns the slice of a split such as train[:5000] or train[90%:]."""
    start, stop = re.fullmatch(r"train\[(\d*)%?:(\d*)%?\]", split).groups()
    return slice(int(start or 0), int(stop or 100))


def test_the_covariance_has_a_low_rate_of_biases():
    rates = {n: c.optimizer.bias_learning_rate for n, c in made("loss").items()}
    assert rates.pop("covariance") == pytest.approx(rates["baseline"] / 100)
    assert len(set(rates.values())) == 1
