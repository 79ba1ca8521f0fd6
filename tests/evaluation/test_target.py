"""The network of a run, as it is evaluated."""

import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bt_keras.checkpoint import latest
from bt_keras.data.from_config import open_source
from bt_keras.errors import UsageError
from bt_keras.evaluation import feature_identity
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.label_free import LabelFree
from bt_keras.evaluation.measurements import digest
from bt_keras.evaluation.target import target_from_workdir
from bt_keras.export.source import from_run
from bt_keras.workdir import Workdir

# pytest finds fixtures here.
from tests.cli.conftest import copied, images, recipe, run  # noqa: F401


@pytest.fixture
def workdir(copied):  # noqa: F811
    return Workdir(copied)


def note_loads(monkeypatch, note):
    """Calls a function with each model that is loaded."""
    find = latest.find_model

    def noting(*arguments):
        epochs, load = find(*arguments)

        def load_and_note():
            model = load()
            note(model)
            return model

        return epochs, load_and_note

    monkeypatch.setattr(latest, "find_model", noting)


def freeze(target):
    sources = (open_source(target.config, split) for split in ("train", "test"))
    return target.frozen(*sources)


def test_images_have_the_size_of_the_evaluation(workdir):
    config = json.loads(workdir.config_file.read_text())
    config["evaluation"]["size"] = 12
    workdir.config_file.write_text(json.dumps(config))
    target = target_from_workdir(workdir)
    frozen = freeze(target)
    assert (frozen.size, frozen.resize) == (12, 12)
    assert target.pretext.views.size == 8
    # As Pillow resizes them, then the module's graph would.
    levels = [
        Image.open(path).resize((12, 12), Image.Resampling.BILINEAR)
        for path in sorted(Path(target.config.data.source).glob("test/*/*.png"))
    ]
    data = target.config.data
    views = (np.stack(levels) / 255.0 - data.mean) / data.deviation
    expected = target.backbone(views.astype("float32"), training=False)
    np.testing.assert_allclose(frozen.test.features, expected, rtol=1e-4, atol=1e-5)
    assert from_run(workdir).image_size == 12


@pytest.mark.parametrize("untrained", [False, True])
def test_digests_are_those_of_the_model_that_is_loaded_first(
    workdir, monkeypatch, untrained
):
    loaded = []
    note_loads(monkeypatch, loaded.append)
    target = target_from_workdir(workdir, untrained)
    depends_on = LabelFree().depends_on(freeze(target))
    pretext = {
        "views": repr(target.pretext.views),
        "seed": 0,
        "projector": feature_identity.of_network(loaded[0].projector),
        "lambd": 5e-3,
        "batch_size": 8,
    }
    expected = digest(LabelFree(), "images", {"pretext": pretext})
    assert digest(LabelFree(), "images", depends_on) == expected


def test_the_projector_is_in_memory_only_if_a_protocol_uses_it(workdir, monkeypatch):
    loaded = []
    note_loads(monkeypatch, lambda model: loaded.append(weakref.ref(model.projector)))
    target = target_from_workdir(workdir)
    evaluate(target, protocol="cached")
    gc.collect()
    assert [projector() for projector in loaded] == [None]
    few = {"labelfree": {"lidar_images": 4, "augmentations": 4}}
    evaluate(target, protocol="labelfree", overrides=few)
    assert len(loaded) == 2
    assert loaded[1]() is target.pretext.projector


def test_the_projector_is_that_of_the_backbone_while_training_goes_on(workdir):
    target = target_from_workdir(workdir, checkpoint="epoch-0001")
    frozen = freeze(target)
    LabelFree().check(frozen, target)
    for path in workdir.checkpoints.iterdir():
        path.unlink()
    assert target.pretext.project(frozen.test.features).shape == (18, 8)


def test_a_folder_without_permission_to_write_is_read(workdir, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # The tests may run as root.
    target = target_from_workdir(workdir)
    with pytest.raises(UsageError, match="cannot be written: no permission"):
        evaluate(target)
