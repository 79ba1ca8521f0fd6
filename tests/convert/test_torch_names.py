"""Names of ResNets in the files of other libraries."""

import re

import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from tests.reference import weights

WIDTH = 4
ONE = np.ones(1, np.float32)


def renamed(state, *rules):
    for pattern, replacement in rules:
        state = {re.sub(pattern, replacement, n): a for n, a in state.items()}
    return state


def numbered(state, first_stage):
    """The children of a ResNet by their numbers, as `torch.nn.Sequential` has them."""

    def number(match):
        return f"backbone.{int(match[1]) - 1 + first_stage}."

    state = renamed(state, (r"^conv1", "backbone.0"), (r"^bn1", "backbone.1"))
    return {re.sub(r"^layer(\d)\.", number, name): a for name, a in state.items()}


def lightly_head(state):
    """`lightly.models.modules.BarlowTwinsProjectionHead`: its last layer has a bias."""
    head = {"0.weight": ONE, "1.weight": ONE, "6.weight": ONE, "6.bias": ONE}
    return {**state, **{f"projection_head.layers.{n}": a for n, a in head.items()}}


def solo_learn(state, name):
    """A Lightning checkpoint; the projector's linear layers have biases."""
    heads = {
        "projector.0.weight": np.ones((2, 2), np.float32),
        "projector.0.bias": ONE,
        "classifier.weight": ONE,
    }
    momentum = renamed(state, (r"^", f"momentum_{name}."))
    state = {**momentum, **renamed(state, (r"^", f"{name}.")), **heads}
    return {"epoch": 1, "pytorch-lightning_version": "2.0", "state_dict": state}


def vissl(state):
    trunk = renamed(state, (r"^", "_feature_blocks."))
    model = {"trunk": trunk, "heads": {"0.clf.0.weight": ONE}}
    return {"phase": 9, "classy_state_dict": {"base_model": {"model": model}}}


LAYOUTS = {
    "backbone alone": lambda s: renamed(s, (r"^", "backbone.")),
    "module alone": lambda s: renamed(s, (r"^", "module.")),
    "encoder": lambda s: renamed(s, (r"^", "encoder.")),
    "compiled": lambda s: renamed(s, (r"^", "_orig_mod.")),
    "compiled and distributed": lambda s: renamed(s, (r"^", "module._orig_mod.")),
    "compiled backbone": lambda s: renamed(s, (r"^", "module.backbone._orig_mod.")),
    "lightly": lambda s: lightly_head(numbered(s, 4)),
    "lightly's ResNets": lambda s: renamed(
        numbered(s, 2), (r"\.downsample\.", ".shortcut.")
    ),
    "solo-learn": lambda s: solo_learn(s, "backbone"),
    "solo-learn before 1.0.3": lambda s: solo_learn(s, "encoder"),
    "VISSL": vissl,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_of_other_libraries(layout, tmp_path):
    depth = 50 if layout in ("lightly", "VISSL") else 18
    state = weights.resnet_state(depth, 1, WIDTH)
    suffix = ".torch" if layout == "VISSL" else ".ckpt"
    path = tmp_path / f"theirs{suffix}"
    convert.save(path, LAYOUTS[layout](state))
    backbone = convert.from_torch(path)
    assert backbone.name == f"resnet{depth}"
    ours = convert.to_torch(backbone, "torchvision", 0)
    for name, array in state.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


def test_the_official_names_keep_the_projector():
    state = weights.barlow_twins_state(18, (8, 8), width=WIDTH)
    compiled = renamed(state, (r"^(backbone|projector)\.", r"_orig_mod.\1."))
    assert isinstance(convert.from_torch(compiled), bt_keras.BarlowTwins)


def test_several_networks_are_refused():
    state = weights.resnet_state(18, 1, WIDTH)
    both = {**renamed(state, (r"^", "left.")), **renamed(state, (r"^", "right."))}
    with pytest.raises(bt_keras.UsageError, match=r"2 ResNets.*'left\.', 'right\.'"):
        convert.from_torch(both)


def test_a_checkpoint_that_contains_itself():
    checkpoint = {}
    checkpoint["model"] = checkpoint
    with pytest.raises(bt_keras.UsageError, match="'model' is a dict"):
        convert.from_torch(checkpoint)
