import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from bt_keras.convert import name_map
from tests.reference import weights


def test_order_of_blocks_is_pytorchs():
    names = list(convert.to_torch(convert.from_torch(weights.resnet_state(50, 1, 4))))
    assert names[0] == "conv1.weight"
    start = names.index("layer1.0.bn3.weight")
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert names[start : start + 12] == [
        *(f"layer1.0.bn3.{part}" for part in norm),
        "layer1.0.downsample.0.weight",
        *(f"layer1.0.downsample.1.{part}" for part in norm),
        "layer1.1.conv1.weight",
    ]


@pytest.mark.parametrize(
    "depth",
    [18, 34, 50, *(pytest.param(d, marks=pytest.mark.slow) for d in (101, 152))],
)
def test_names_and_order_are_torchvisions(depth, recorded):
    theirs = recorded("torchvision")[f"names/resnet{depth}"].item().decode()
    model = bt_keras.resnet(depth, 1 / 64)
    ours = convert.to_torch(model, naming="torchvision")
    assert list(ours) == theirs.split("\n")


def test_mismatched_arrays_are_listed():
    state = weights.resnet_state(18, 1, 8)
    del state["layer3.1.bn2.running_var"]
    state["layer2.0.conv1.weight"] = state["layer2.0.conv1.weight"][:-1]
    state["extra.weight"] = np.zeros(3)
    with pytest.raises(bt_keras.UsageError) as error:
        convert.from_torch(state)
    message = str(error.value)
    assert "missing layer3.1.bn2.running_var" in message
    assert "unexpected 'extra.weight'" in message
    assert (
        "layer2.0.conv1.weight has shape (15, 8, 3, 3) instead of (16, 8, 3, 3)"
        in message
    )
    assert " more" not in message
    state |= {f"extra.{i}": np.zeros(3) for i in range(30)}
    with pytest.raises(bt_keras.UsageError, match=r"extra\.\d+' and 13 more\.$"):
        convert.from_torch(state)


def test_variables_convert_in_both_directions():
    model = bt_keras.BarlowTwins(bt_keras.resnet(18, 1 / 32), (4, 3))
    variables = {v.name: v for v in name_map.map_variables(model)}
    assert variables["projector.3.weight"].shape == (3, 4)
    kernel = variables["backbone.conv1.weight"]
    assert kernel.is_parameter
    assert not variables["backbone.bn1.running_mean"].is_parameter
    array = np.arange(2 * 3 * 7 * 7, dtype=np.float32).reshape(2, 3, 7, 7)
    kernel.assign(array)
    np.testing.assert_array_equal(kernel.to_torch(), array)
    assert float(kernel.variable[6, 5, 2, 1]) == array[1, 2, 6, 5]
