import numpy as np
import pytest

import bt_keras
from bt_keras import config, convert
from bt_keras.convert.architecture import Architecture, infer_architecture
from tests.reference import weights


def test_architecture_is_inferred_from_shapes():
    state = weights.resnet_state(50, 1, 8, "cifar")
    assert infer_architecture(state) == Architecture(50, 8, "cifar", 3, ())
    state = weights.barlow_twins_state(18, (24, 16, 8), width=4)
    expected = Architecture(18, 4, "imagenet", 3, (24, 16, 8))
    assert infer_architecture(state) == expected


def test_differences_from_a_config():
    recipe = config.load("default")
    same = Architecture(50, 64, "imagenet", 3, (8192, 8192, 8192))
    assert same.differences(recipe) == []
    other = Architecture(18, 64, "imagenet", 1, (8192, 8192, 8192))
    assert other.differences(recipe) == [
        "backbone.depth is 18 in the file and 50 in the config",
        "images have 1 channels instead of 3",
    ]
    recipe.backbone.features = 4096
    assert same.differences(recipe) == [
        "backbone.features is 0 in the file and 4096 in the config"
    ]


def test_wide_resnets_are_rejected():
    state = weights.resnet_state(50, 1, 4)
    for name in ("layer1.0.conv1.weight", "layer1.0.conv2.weight"):
        state[name] = np.repeat(state[name], 2, axis=0)
    with pytest.raises(
        bt_keras.UsageError, match="wide ResNets and ResNeXts are not supported"
    ):
        convert.from_torch(state)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, r"conv1\.weight"),
        ({"a": np.zeros(2)}, r"conv1\.weight"),
        ([1, 2], "must be a mapping"),
        ({"conv1.weight": "text"}, "'conv1.weight' has type <U4"),
        ({"conv1.weight": object()}, "'conv1.weight' has type object"),
        ({"conv1.weight": [[1], [1, 2]]}, "'conv1.weight' is a list, not an array"),
        ({"a": 1.0, "module.a": 2.0}, "'a' occurs twice"),
        ({"conv1.weight": np.zeros((0, 3, 7, 7))}, "without channels"),
        (
            weights.resnet_state(18, 1, 4) | {"layer1.2.conv1.weight": np.zeros(1)},
            r"\(3, 2, 2, 2\) basic",
        ),
    ],
)
def test_unsupported_sources(source, message):
    with pytest.raises(bt_keras.UsageError, match=message):
        convert.from_torch(source)
