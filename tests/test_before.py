"""Files written by the first version load and give the recorded values.

tests/before/README.md describes them.
"""

import csv
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras import LARS, BarlowTwins, WarmupCosine
from bt_keras import config as config_lib
from bt_keras.augmentation.statistics import IMAGENET
from bt_keras.cli import main
from bt_keras.hub import read_backbone
from tests.conftest import relative_error

FOLDER = Path(__file__).parent / "before"
# Imported so that `load_model` finds them.
REGISTERED = (BarlowTwins, LARS, WarmupCosine)
# The losses of the epochs 3 and 4.
RESUMED_LOSSES = (18.397140502929688, 14.114872934432082)


@pytest.fixture
def arrays():
    def load(name):
        with np.load(FOLDER / f"{name}.npz") as file:
            return dict(file)

    return load


def test_a_run_resumes_with_the_same_losses(tmp_path):
    workdir = shutil.copytree(FOLDER / "run", tmp_path / "run")
    assert main(["pretrain", f"--workdir={workdir}"]) == 0
    with (workdir / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    losses = [float(row["loss"]) for row in rows[2:]]
    np.testing.assert_allclose(losses, RESUMED_LOSSES, rtol=1e-3)


def test_a_checkpoint_gives_the_same_features(arrays):
    expected = arrays("expected")
    model = keras.models.load_model(FOLDER / "trained.keras")
    features = model(expected["images"], training=False)
    assert relative_error(features, expected["features"]) < 1e-4


def test_optimizers_with_constant_rates_keep_step_and_momenta(arrays):
    """Keras only warns and skips the state of an optimizer with other variables."""
    expected = arrays("float_rates")
    model = keras.models.load_model(FOLDER / "float_rates.keras")
    assert model.optimizer.iterations == expected["iterations"]
    momenta = [v for v in model.optimizer.variables if "momentum" in v.path]
    assert len(momenta) == len(model.trainable_variables)
    total = sum(np.abs(v.numpy()).sum() for v in momenta)
    np.testing.assert_allclose(total, expected["momentum_sum"], rtol=1e-5)
    views = expected["views"]
    fit = model.fit(views[0], views[1], batch_size=8, shuffle=False, verbose=0)
    np.testing.assert_allclose(fit.history["loss"], expected["next_loss"], rtol=1e-3)


def test_a_classifier_around_a_module_gives_the_same_logits(arrays):
    expected = arrays("classifier")
    model = keras.models.load_model(FOLDER / "classifier.keras")
    logits = model(expected["images"], training=False)
    assert relative_error(logits, expected["logits"]) < 1e-4


def test_a_module_gives_the_same_features(arrays):
    expected = arrays("expected")
    images = np.clip(expected["images"], 0, 1)
    layer = bt_keras.load_backbone(FOLDER / "module")
    assert relative_error(layer(images), expected["module_features"]) < 1e-4
    backbone, _ = read_backbone(FOLDER / "module")
    normalized = (images - IMAGENET.mean) / IMAGENET.deviation
    features = backbone(normalized, training=False)
    assert relative_error(features, expected["module_features"]) < 1e-4


def test_results_are_reported(tmp_path, capsys):
    workdir = shutil.copytree(FOLDER / "run", tmp_path / "run")
    shutil.copy(FOLDER / "results.csv", workdir)
    assert main(["report", f"--workdir={workdir}"]) == 0
    report = capsys.readouterr().out
    for value in ("42.19", "46.88", "66.41", "67.19"):  # Percentages of results.csv.
        assert value in report, value


def test_a_config_file_is_that_of_the_run():
    config = config_lib.load(FOLDER / "config.py")
    text = (FOLDER / "run" / "config.json").read_text()
    assert config_lib.differences(config_lib.from_json(text), config) == []
