"""Each way to load a module, in processes other than the one that exported it."""

import json

import numpy as np
import pytest

from tests import processes
from tests.conftest import HALF_PRECISION, half_precision, relative_error
from tests.hub import elsewhere

pytestmark = pytest.mark.slow  # Starts two processes.


def can_run(way):
    return HALF_PRECISION or way is not elsewhere.mixed


@pytest.fixture(scope="module")
def results(exported, tmp_path_factory):
    """`results(group)`: the folder that the process of a group of ways has filled."""
    folders = {}

    def folder_of(group):
        if group not in folders:
            folder = folders[group] = tmp_path_factory.mktemp(group)
            images, log = folder / "images.npy", folder / "log"
            np.save(images, exported.images)
            ways = [way.__name__ for way in elsewhere.GROUPS[group] if can_run(way)]
            ways = ",".join(ways)
            script = [elsewhere.__file__, ways, exported.folder, images, folder]
            # Not in the checkout, from where bt_keras could be imported.
            processes.finish([processes.start(script, log, cwd=folder)], [log])
        return folders[group]

    return folder_of


@pytest.mark.parametrize(
    ("group", "way"),
    [
        pytest.param(
            group,
            way.__name__,
            marks=half_precision if way is elsewhere.mixed else (),
        )
        for group, ways in elsewhere.GROUPS.items()
        for way in ways
    ],
)
def test_features_weights_and_statistics(exported, results, group, way):
    folder = results(group)
    findings = json.loads((folder / f"{way}.json").read_text())
    features = np.load(folder / f"{way}.npy")
    # The layers compute under the global policy.
    tolerance = 0.05 if way == "mixed" else 1e-5
    assert relative_error(features, exported.features()) < tolerance
    assert findings["moved_by_inference"] == 0
    assert findings["losses"][-1] < findings["losses"][0]
    backbone = exported.model.backbone
    weights, total = len(backbone.trainable_variables), len(backbone.variables)
    if "frozen" in way:
        assert findings["trainable"] == [0, 0]
        assert findings["statistics"] == [0, total]
    else:
        assert findings["trainable"] == [weights, weights]
        assert findings["statistics"] == [total - weights] * 2
    if "reloaded" in findings:
        assert findings["reloaded"] < 1e-5
