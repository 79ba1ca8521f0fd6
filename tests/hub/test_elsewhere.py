"""Each way to load a module, in a process of its own."""

import json

import numpy as np
import pytest

from tests import processes
from tests.conftest import relative_error
from tests.hub import elsewhere

WAYS = [function.__name__ for function in elsewhere.ELSEWHERE + elsewhere.KERAS_3]


@pytest.fixture(scope="module", params=WAYS)
def loaded(request, exported, tmp_path_factory):
    """`(way, features, facts)` of one process."""
    folder = tmp_path_factory.mktemp(request.param)
    files = [folder / name for name in ("images.npy", "features.npy", "facts.json")]
    np.save(files[0], exported.images)
    script = [elsewhere.__file__, request.param, exported.folder, *files]
    log = folder / "log"
    # Not in the checkout, from where bt_keras could be imported.
    processes.finish([processes.start(script, log, cwd=folder)], [log])
    return request.param, np.load(files[1]), json.loads(files[2].read_text())


def test_features_weights_and_statistics(exported, loaded):
    way, features, facts = loaded
    assert relative_error(features, exported.features()) < 1e-5
    assert facts["moved_by_inference"] == 0
    assert facts["losses"][-1] < facts["losses"][0]
    backbone = exported.model.backbone
    weights, total = len(backbone.trainable_variables), len(backbone.variables)
    if "frozen" in way:
        assert facts["trainable"] == [0, 0]
        assert facts["statistics"] == [0, total]
    else:
        assert facts["trainable"] == [weights, weights]
        assert facts["statistics"] == [total - weights] * 2
    if "reloaded" in facts:
        assert facts["reloaded"] < 1e-5
