import re

from bt_keras import convert
from tests.reference import weights


def test_names_are_detectron2s():
    contents = convert.to_detectron2(convert.from_torch(weights.resnet_state(50, 1, 4)))
    assert contents["matching_heuristics"] is True
    state = contents["model"]
    norm = {"weight", "bias", "running_mean", "running_var"}
    assert {n.rpartition(".")[2] for n in state if ".norm." in n} == norm
    assert not [n for n in state if re.search(r"bn\d|layer|downsample|fc|num_b", n)]
    assert set(state) >= {
        "stem.conv1.weight",
        "stem.conv1.norm.bias",
        "res2.0.conv1.weight",
        "res2.0.conv3.norm.running_var",
        "res2.0.shortcut.weight",
        "res2.0.shortcut.norm.weight",
        "res5.2.conv2.norm.running_mean",
    }
