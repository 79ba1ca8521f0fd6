"""`bt-keras convert --workdir`: training goes on from the official checkpoint."""

import keras
import numpy as np
import pytest

from bt_keras import convert
from bt_keras.checkpoint import save_restore
from bt_keras.checkpoint import store as checkpoints
from bt_keras.cli import main
from bt_keras.workdir import Workdir
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
    path = tiny.write_config(tmp_path / "recipe.py", images, depth=18)
    fields = "backbone.width = 1 / 64", "projector = (8, 8, 8)", "epochs = 5"
    fields += ("optimizer.bias_learning_rate = 0.0003",)
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
    assert "after epoch 3 of 5 (lambd is 0.005, the official code's 0.0051; " in out
    assert "weight_decay is 1.5e-06, the file's is worth 1.6e-05 here)" in out
    assert f"; `bt-keras pretrain --workdir {workdir}` goes on" in out
    return workdir


def test_training_goes_on_from_the_official_checkpoint(resumed, capsys, tmp_path):
    assert sorted(p.name for p in resumed.parent.iterdir()) == ["resumed"]
    progress, path = checkpoints.find_newest(resumed / "checkpoints")
    assert (progress.epoch, progress.step, progress.batch) == (3, 6, 6)
    model, theirs = keras.models.load_model(path), convert.from_torch(CHECKPOINT)
    assert int(model.optimizer.iterations) == 6
    for ours, yours in zip(
        (*model.weights, *model.optimizer.momenta),
        (*theirs.weights, *theirs.optimizer.momenta),
        strict=True,
    ):
        np.testing.assert_allclose(ours.numpy(), yours.numpy(), rtol=1e-6)

    assert main(["pretrain", f"--workdir={resumed}"]) == 0
    assert "resuming after step 6 (3 epochs)" in capsys.readouterr().out
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
    progress, path = checkpoints.find_newest(resumed / "checkpoints")
    model = keras.models.load_model(path)
    path.unlink()
    save_restore.write(model, resumed / "checkpoints", progress.after(1))
    flags = (f"--output={tmp_path}/back.pth", "--checkpoint")
    assert "inside an epoch (3.5 are" in refused(capsys, f"--input={resumed}", *flags)
    assert run(f"--input={resumed}", f"--output={tmp_path}/back.pth") == 0


def test_a_workdir_that_is_taken_stays(resumed, recipe, capsys):
    before = sorted(resumed.rglob("*"))
    flags = (f"--input={CHECKPOINT}", f"--config={recipe}", f"--workdir={resumed}")
    assert "is not empty" in refused(capsys, *flags)
    assert sorted(resumed.rglob("*")) == before


def test_the_first_codes_checkpoint_goes_on_too(recipe, tmp_path):
    """Rate times momentum is the file's, also at other rates of biases."""
    path, workdir = REFERENCE / "checkpoint_one_group.pth", tmp_path / "run"
    flags = ("--config.optimizer.bias_learning_rate=0.01", "--config.epochs", "7")
    where = (f"--config={recipe}", f"--workdir={workdir}")
    assert run(f"--input={path}", *where, *flags) == 0
    config = Workdir(workdir).config()
    assert (config.epochs, config.optimizer.bias_learning_rate) == (7, 0.01)
    theirs = convert.load(path)["optimizer"]["state"]
    model = keras.models.load_model(checkpoints.find_newest(workdir / "checkpoints")[1])
    momenta = model.optimizer.momenta
    # conv1.weight, bn1.weight, bn1.bias: numbered as they are registered.
    names = [v.path.split("/", 1)[-1] for v in model.trainable_variables[:3]]
    assert [name.rpartition("/")[2] for name in names] == ["kernel", "gamma", "beta"]
    np.testing.assert_array_equal(
        momenta[0].numpy(), theirs[0]["mu"].transpose(2, 3, 1, 0)
    )
    for place in (1, 2):
        ours, mu = momenta[place].numpy(), theirs[place]["mu"]
        np.testing.assert_allclose(0.01 * ours, 0.2 * mu, rtol=1e-6)


def test_an_empty_folder_is_filled_and_stays_the_folder(
    recipe, tmp_path, capsys, monkeypatch
):
    """Also where the user stands in it, or has a link to it."""
    other, here, link = (tmp_path / name for name in ("other", "here", "link"))
    here.mkdir()
    other.mkdir()
    link.symlink_to(other)
    (tmp_path / ".here.unfinished").mkdir()  # Not ours to remove.
    monkeypatch.chdir(here)
    inode = here.stat().st_ino
    for workdir, folder in ((".", here), (link, other)):
        flags = (f"--config={recipe}", f"--workdir={workdir}")
        assert run(f"--input={CHECKPOINT}", *flags) == 0
        assert sorted(p.name for p in folder.iterdir()) == [
            "checkpoints",
            "config.json",
        ]
        assert "is not empty" in refused(capsys, f"--input={CHECKPOINT}", *flags)
    assert here.stat().st_ino == inode
    assert link.is_symlink()
    names = {p.name for p in tmp_path.iterdir() if p.is_dir()}
    assert names >= {".here.unfinished", "here", "link", "other"}
    assert not [name for name in names if name.startswith(".tmp")]


def test_fields_that_are_none_are_named(recipe, tmp_path, capsys):
    where = (f"--config={recipe}", f"--workdir={tmp_path}/run")
    for flag, message in (
        ("--config.epoch=7", "epoch"),
        ("--config.epochs=many", "epochs"),
        ("--epochs=7", "epochs"),
    ):
        assert message in refused(capsys, f"--input={CHECKPOINT}", *where, flag)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 1 / 64", "width = 0.5", "backbone.width is 0.015625, the config has"),
        ("depth = 18", "depth = 50", "backbone.depth is 18, the config has 50"),
        ("(8, 8, 8)", "(8, 8)", "projector is (8, 8, 8), the config has (8, 8)"),
        (
            "epochs = 5",
            "epochs = 2",
            "of epoch 3 of 2, so that nothing is left to train",
        ),
        ("epochs = 5", "epochs = 3", "raise --config.epochs"),
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
