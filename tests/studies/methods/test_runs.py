"""Runs of all methods by config: trained, resumed, evaluated, exported and loaded."""

import numpy as np
import pytest

import bt_keras
from bt_keras import UsageError
from bt_keras import config as config_lib
from bt_keras.evaluation.evaluate import evaluate
from bt_keras.evaluation.target import target_from_workdir
from bt_keras.plan import formatting, plan
from bt_keras.training.pretrain import pretrain
from bt_keras.workdir import Workdir
from tests import tiny
from tests.cli.commands import rows

METHODS = {
    "simclr.SimCLR": {},
    "vicreg.VICReg": {},
    "simsiam.SimSiam": {"predictor_width": 4},
    "byol.BYOL": {"predictor_width": 8, "total_steps": 8},
    "mixed.MixedBarlowTwins": {"mixing_weight": 2.0},
    "supervised.Supervised": {"num_classes": 2},
    "swav.SwAV": {"num_prototypes": 6, "frozen_steps": 2},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("images"), per_class=16)


@pytest.fixture
def config(images):
    """A run of two epochs with four steps each."""
    return config_lib.load(tiny.write_config(images / "tiny.py", images))


def use(config, method):
    config.method.name = f"bt_keras.studies.methods.{method}"
    config.method.options.update(METHODS[method])
    return config


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_run(config, method, tmp_path):
    config = use(config, method)
    config.data.validation_split = "test"
    config.callbacks.monitor_every_steps = 2
    config.checkpoint.every_steps = 2
    config.checkpoint.keep = 99
    workdir = tmp_path / "run"
    model = pretrain(config, workdir)
    expected = [np.asarray(variable) for variable in model.variables]
    log = (workdir / "log.csv").read_text()
    header = log.split("\n")[0].split(",")
    assert {*model.log_names, *(f"val_{name}" for name in model.log_names)} <= {*header}

    for path in sorted((workdir / "checkpoints").iterdir())[1:]:
        path.unlink()  # The first one is within an epoch.
    again = pretrain(config, workdir)
    for ours, theirs in zip(again.variables, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)

    for protocol in ("knn", "labelfree"):
        evaluate(target_from_workdir(Workdir(workdir)), protocol=protocol)
    results = {
        (row["evaluator"], row["metric"]) for row in rows(workdir / "results.csv")
    }
    assert {("knn", "top1"), ("labelfree", "rankme")} <= results
    target = target_from_workdir(Workdir(workdir))
    images = np.random.default_rng(0).uniform(size=(4, 8, 8, 3)).astype("float32")
    bt_keras.export_backbone(model, tmp_path / "module", image_size=8)
    loaded = bt_keras.load_backbone(tmp_path / "module")
    mean, deviation = config.data.mean, config.data.deviation
    features = target.backbone((images - mean) / deviation)
    np.testing.assert_allclose(loaded(images), features, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["supervised.Supervised", "byol.BYOL"])
def test_plan(config, method):
    planned = plan(use(config, method), trial=True)
    assert np.isfinite(planned.trial.first_loss)
    text = formatting.describe(planned)
    assert f"of {config.method.name}: its start and floor are not known" in text
    assert planned.floor is None


def test_labels_are_checked(config, tmp_path):
    config = use(config, "supervised.Supervised")
    config.method.options.num_classes = 3
    with pytest.raises(UsageError, match=r"num_classes is 3, but .* have 2 classes"):
        pretrain(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
