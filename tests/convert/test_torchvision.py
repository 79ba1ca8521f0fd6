"""Features of converted networks, compared with torchvision's."""

import pytest

from bt_keras import convert
from tests.conftest import relative_error
from tests.reference import weights


@pytest.mark.parametrize(
    "name", ["resnet18", pytest.param("resnet50", marks=pytest.mark.slow)]
)
def test_features_equal_torchvisions(recorded, name, tmp_path):
    reference, depth = recorded("features"), int(name.removeprefix("resnet"))
    path = tmp_path / "theirs.pth"
    convert.save(path, weights.resnet_state(depth, seed=depth))
    theirs = reference[f"{name}/96x96"]
    images = weights.images(len(theirs), 96, 96, seed=96 + 96)
    assert relative_error(convert.from_torch(path)(images), theirs) < 1e-4


def test_features_of_narrow_resnet50_equal_pytorchs(recorded, tmp_path):
    """The blocks of ResNet-50 at 1/16 of the width."""
    theirs = recorded("torchvision")["features/resnet50_narrow"]
    path = tmp_path / "theirs.pth"
    convert.save(path, weights.resnet_state(50, seed=1, width=4, stem="cifar"))
    ours = convert.from_torch(path)(weights.images(2, 32, 32, seed=64))
    assert relative_error(ours, theirs) < 1e-4
