"""`bt-keras convert --workdir`: training goes on from the official checkpoint."""

import keras
import numpy as np
import pytest

from bt_keras import cli, convert
from bt_keras.checkpoint import files as checkpoints
from bt_keras.checkpoint import saving
from tests import tiny
from tests.conftest import REFERENCE
from tests.convert.commands import refused, run

CHECKPOINT = REFERENCE / "checkpoint.pth"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def recipe(images, tmp_path):
    """A config for the recorded checkpoint: its network, and 5 epochs of 2 steps."""
    path = tiny.write_config(tmp_path / "recipe.py", images)
    fields = "backbone.width = 1 / 64", "projector = (8, 8, 8)", "epochs = 5"
    lines = "".join(f"    config.{field}\n" for field in fields)
    text = path.read_text().replace("    return config", f"{lines}    return config")
    path.write_text(text)
    return path


@pytest.fixture
def resumed(recipe, tmp_path, capsys):
    workdir = tmp_path / "runs" / "resumed"
    flags = (f"--config={recipe}", f"--workdir={workdir}")
    assert run(f"--input={CHECKPOINT}", *flags) == 0
    out = capsys.readouterr().out
    assert f"after epoch 3 of 5; `bt-keras pretrain --workdir {workdir}`" in out
    return workdir


def test_training_goes_on_from_the_official_checkpoint(resumed, capsys, tmp_path):
    assert sorted(p.name for p in resumed.parent.iterdir()) == ["resumed"]
    progress, path = checkpoints.newest(resumed / "checkpoints")
    assert (progress.epoch, progress.step, progress.batch) == (3, 6, 6)
    model, theirs = keras.models.load_model(path), convert.from_torch(CHECKPOINT)
    assert int(model.optimizer.iterations) == 6
    for ours, yours in zip(
        (*model.weights, *model.optimizer.momenta),
        (*theirs.weights, *theirs.optimizer.momenta),
        strict=True,
    ):
        np.testing.assert_array_equal(ours.numpy(), yours.numpy())

    assert cli.main(["pretrain", f"--workdir={resumed}"]) == 0
    assert "going on after step 6 (3 epochs)" in capsys.readouterr().out
    lines = (resumed / "log.csv").read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["3", "4"]

    # And back to the official code.
    back = tmp_path / "back.pth"
    assert run(f"--input={resumed}", f"--output={back}", "--checkpoint") == 0
    contents = convert.load(back)
    assert contents["epoch"] == 5
    assert contents["optimizer"]["param_groups"][0]["lr"] < 0.2
    line = refused(
        capsys,
        *(f"--input={resumed}", f"--output={tmp_path}/b.pth", "--checkpoint"),
        "--epoch=1",
    )
    assert "leave --epoch out" in line


def test_a_checkpoint_inside_an_epoch_does_not_go_back(resumed, tmp_path, capsys):
    progress, path = checkpoints.newest(resumed / "checkpoints")
    model = keras.models.load_model(path)
    path.unlink()
    saving.write(model, resumed / "checkpoints", progress.after(1))
    flags = (f"--output={tmp_path}/back.pth", "--checkpoint")
    assert "inside an epoch (3.5 are" in refused(capsys, f"--input={resumed}", *flags)
    assert run(f"--input={resumed}", f"--output={tmp_path}/back.pth") == 0


def test_a_workdir_that_is_taken_stays(resumed, recipe, capsys):
    before = sorted(resumed.rglob("*"))
    flags = (f"--input={CHECKPOINT}", f"--config={recipe}", f"--workdir={resumed}")
    assert "is not empty" in refused(capsys, *flags)
    assert sorted(resumed.rglob("*")) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 1 / 64", "width = 0.5", "backbone.width is 0.015625, the config has"),
        ("depth = 18", "depth = 50", "backbone.depth is 18, the config has 50"),
        ("(8, 8, 8)", "(8, 8)", "projector is (8, 8, 8), the config has (8, 8)"),
        ("epochs = 5", "epochs = 2", "of epoch 3, past config.epochs, 2"),
        ("return config", "config.optimizer.name = 'sgd'\n    return config", "'sgd'"),
        ("batch_size = 8", "batch_size = 800", "800"),
        ("return config", "config.data.source = 'nowhere'\n    return config", "nowhe"),
    ],
)
def test_a_config_that_does_not_fit_is_named(
    recipe, tmp_path, capsys, old, new, message
):
    recipe.write_text(recipe.read_text().replace(old, new))
    workdir = tmp_path / "runs" / "new"
    flags = (f"--input={CHECKPOINT}", f"--config={recipe}", f"--workdir={workdir}")
    assert message in refused(capsys, *flags)
    assert not workdir.parent.exists()


def spoiled(**changes):
    """The checkpoint with some of its parts changed, or left out for None."""
    contents = convert.load(CHECKPOINT)
    contents.update(changes)
    return {name: value for name, value in contents.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": None}, "a whole checkpoint, with 'epoch'"),
        ({"epoch": None}, "a whole checkpoint"),
        ({"epoch": "3"}, "a whole checkpoint"),
        ({"optimizer": {"state": {}, "param_groups": []}}, "0 groups of parameters"),
        ({"model": {}}, "not a ResNet's weights"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_named(
    recipe, tmp_path, capsys, changes, message
):
    path, workdir = tmp_path / "bad.pth", tmp_path / "runs" / "new"
    convert.save(path, spoiled(**changes))
    line = refused(
        capsys, f"--input={path}", f"--config={recipe}", f"--workdir={workdir}"
    )
    assert message in line
    assert "bad.pth" in line
    assert not workdir.parent.exists()
