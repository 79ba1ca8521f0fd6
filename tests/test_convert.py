import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from tests.reference import weights


@pytest.mark.parametrize(
    ("depth", "width", "stem"), [(18, 16, "cifar"), (50, 8, "imagenet")]
)
def test_backbones_go_there_and_back(depth, width, stem):
    state = weights.resnet_state(depth, 1, width, stem)
    backbone = convert.from_torch(state)
    again = convert.to_torch(backbone)
    assert again.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_the_official_checkpoint_gives_the_whole_model():
    state = weights.barlow_twins_state(18, (24, 16, 8), width=8)
    extra = {"backbone.bn1.num_batches_tracked": np.array(7)}
    checkpoint = {f"module.{name}": a for name, a in {**state, **extra}.items()}
    model = convert.from_torch({"epoch": 3, "model": checkpoint})
    assert isinstance(model, bt_keras.BarlowTwins)
    assert model.lambd == 0.0051
    again = convert.to_torch(model)
    assert again.keys() == {name for name in state if not name.startswith("bn.")}
    for name, array in again.items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)


def test_the_classifier_is_left_out():
    state = weights.resnet_state(18, 1, 8)
    state |= {"fc.weight": np.zeros((1000, 64)), "fc.bias": np.zeros(1000)}
    assert convert.from_torch(state).output_shape == (None, 64)


def test_arrays_that_do_not_fit_are_listed():
    state = weights.resnet_state(18, 1, 8)
    del state["layer3.1.bn2.running_var"]
    state["layer2.0.conv1.weight"] = state["layer2.0.conv1.weight"][:-1]
    state["extra.weight"] = np.zeros(3)
    with pytest.raises(bt_keras.UsageError) as error:
        convert.from_torch(state)
    message = str(error.value)
    assert "missing layer3.1.bn2.running_var" in message
    assert "left over extra.weight" in message
    assert "layer2.0.conv1.weight is (15, 8, 3, 3) and must be (16, 8, 3, 3)" in message


@pytest.mark.parametrize("state", [{}, {"a": np.zeros(2)}, [1, 2]])
def test_what_is_no_resnet_is_named(state):
    with pytest.raises(bt_keras.UsageError, match=r"conv1\.weight|mapping"):
        convert.from_torch(state)
