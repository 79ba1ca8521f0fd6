"""Features and names, against what torchvision's networks have."""

import pytest

import bt_keras
from bt_keras import convert
from tests.conftest import relative_error
from tests.reference import weights


@pytest.mark.parametrize(
    "name", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)]
)
def test_features_of_a_file_equal_torchvisions(recorded, name, tmp_path):
    reference, depth = recorded("features"), int(name.removeprefix("resnet"))
    path = tmp_path / "theirs.pth"
    convert.save(path, weights.resnet_state(depth, seed=depth))
    theirs = reference[f"{name}/96x96"]
    images = weights.images(len(theirs), 96, 96, seed=96 + 96)
    assert relative_error(convert.from_torch(path)(images), theirs) < 1e-4


def test_features_of_a_narrow_bottleneck_network_equal_pytorchs(recorded, tmp_path):
    """ResNet-50's blocks at a sixteenth of the width."""
    theirs = recorded("torchvision")["features/resnet50_narrow"]
    path = tmp_path / "theirs.pth"
    convert.save(path, weights.resnet_state(50, seed=1, width=4, stem="cifar"))
    ours = convert.from_torch(path)(weights.images(2, 32, 32, seed=64))
    assert relative_error(ours, theirs) < 1e-4


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_names_are_torchvisions_in_its_order(depth, recorded):
    theirs = recorded("torchvision")[f"names/resnet{depth}"].item().decode()
    model = bt_keras.resnet(depth, 1 / 64)
    ours = convert.to_torch(model, naming="torchvision")
    assert list(ours) == theirs.split("\n")
