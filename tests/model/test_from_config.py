"""The method of a config: which class is built, and names that are none."""

import pytest

import bt_keras
from bt_keras import UsageError
from bt_keras.model.from_config import build_model
from bt_keras.studies.methods.loss_variants import LossVariant


def config(**method):
    values = bt_keras.config.load("demo")
    values.backbone.width = 0.05
    values.projector = (8, 8)
    values.method.update(method)
    return values


def test_by_default_it_is_barlow_twins():
    assert type(build_model(config())) is bt_keras.BarlowTwins


def test_a_subclass_with_options():
    name = "bt_keras.studies.methods.loss_variants.LossVariant"
    model = build_model(config(name=name, options={"normalization": "features"}))
    assert type(model) is LossVariant
    assert model.normalization == "features"
    assert model.lambd == 5e-3


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        ({"name": "BarlowTwins"}, ("a class with its module", "bt_keras.BarlowTwins")),
        ({"name": "bt_keras.BarlowTwin"}, ("no 'BarlowTwin'", "bt_keras.BarlowTwins")),
        ({"name": "bt_keras.LARS"}, ("is the class LARS, not a subclass",)),
        ({"name": "nowhere.Method"}, ("the method 'nowhere.Method'", "no module")),
        ({"options": {"temperature": 1}}, ("config.method.options", "temperature")),
    ],
)
def test_what_is_no_method(method, parts):
    with pytest.raises(UsageError) as error:
        build_model(config(**method))
    for part in ("config.method", *parts):
        assert part in str(error.value)


def test_a_resnet_has_the_number_of_features_of_the_config():
    values = config()
    assert build_model(values).backbone.output_shape == (None, 24)
    values.backbone.features = 40
    assert build_model(values).backbone.output_shape == (None, 40)


def test_the_network_takes_images_of_the_evaluation_too():
    values = config()
    values.views.size, values.evaluation.size = 32, 48
    build_model(values)  # A ResNet takes any size.
    values.backbone.name = "tests.networks.named.network_of_32_pixels"
    with pytest.raises(UsageError, match=r"48x48x3.*config\.evaluation\.size"):
        build_model(values)
    values.evaluation.size = 0
    build_model(values)
