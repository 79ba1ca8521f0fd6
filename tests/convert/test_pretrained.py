"""The normalization of pretrained networks, which exports of them contain."""

import keras
import pytest

import bt_keras
from bt_keras import config as config_lib
from bt_keras.augmentation.statistics import Statistics
from bt_keras.checkpoint import save_restore
from bt_keras.checkpoint.progress import Progress
from bt_keras.convert import pretrained
from bt_keras.workdir import Workdir
from tests import remote

STATISTICS = Statistics((0.5, 0.4, 0.3), (0.2, 0.3, 0.1))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a mean and a deviation of its own, and its module."""
    workdir = Workdir(tmp_path_factory.mktemp("runs") / "run")
    config = config_lib.default()
    config.data.mean, config.data.deviation = STATISTICS
    workdir.claim(config)
    model = bt_keras.BarlowTwins(bt_keras.resnet(18, width=1 / 16), (4,))
    model.compile(bt_keras.LARS(0.1))
    save_restore.write(model, workdir.checkpoints, Progress(steps_per_epoch=1))
    module = workdir.path / "module"
    bt_keras.export_backbone(model, module, statistics=STATISTICS)
    bt_keras.load_backbone(module).save(workdir.path / "loaded.keras")
    keras.Model(model.backbone.input, model.backbone.output).save(
        workdir.path / "plain.keras"
    )
    return workdir.path


@pytest.mark.parametrize(
    "name", ["", "checkpoints/epoch-0000.keras", "module", "loaded.keras"]
)
def test_sources_that_know_their_statistics(run, name):
    assert pretrained.load(run / name).statistics == STATISTICS


def test_sources_that_do_not(run):
    assert pretrained.load(run / "plain.keras").statistics is None


def test_a_remote_module(run, tmp_path):
    handle = remote.upload(run / "module", f"{tmp_path.name}/module")
    assert pretrained.load(handle).statistics == STATISTICS


def test_weights_that_are_not_finite(tmp_path):
    state = bt_keras.convert.to_torch(bt_keras.resnet(18, width=1 / 16))
    state["layer1.0.conv1.weight"][0] = float("nan")
    bt_keras.convert.save(tmp_path / "diverged.pth", state)
    with pytest.raises(bt_keras.UsageError, match="layer1_0_conv1/kernel contains NaN"):
        pretrained.load(tmp_path / "diverged.pth")
