"""`bt-keras convert --workdir`: training resumes from the official checkpoint."""

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
from tests.convert.commands import run, run_rejected

CHECKPOINT = REFERENCE / "checkpoint.pth"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def recipe(images, tmp_path):
    """A config with the recorded checkpoint's network, and 5 epochs of 2 steps."""
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
    assert "after epoch 3 of 5 (lambd is 0.005, in the official code 0.0051; " in out
    assert "weight_decay is 1.5e-06, in the file equivalent to 1.6e-05)" in out
    assert f"; resume with `bt-keras pretrain --workdir {workdir}`" in out
    return workdir


@pytest.mark.slow
def test_training_resumes_from_the_official_checkpoint(resumed, capsys, tmp_path):
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

    # Convert back to the official code.
    back = tmp_path / "back.pth"
    assert run(f"--input={resumed}", f"--output={back}", "--checkpoint") == 0
    contents = convert.load(back)
    assert contents["epoch"] == 5
    assert contents["optimizer"]["param_groups"][0]["lr"] < 0.2
    line = run_rejected(
        capsys,
        *(f"--input={resumed}", f"--output={tmp_path}/b.pth", "--checkpoint"),
        "--epoch=1",
    )
    assert "remove --epoch" in line


def test_checkpoints_within_an_epoch_do_not_convert(resumed, tmp_path, capsys):
    progress, path = checkpoints.find_newest(resumed / "checkpoints")
    model = keras.models.load_model(path)
    path.unlink()
    save_restore.write(model, resumed / "checkpoints", progress.after(1))
    flags = (f"--output={tmp_path}/back.pth", "--checkpoint")
    assert "within an epoch (after 3.5 epochs)" in run_rejected(
        capsys, f"--input={resumed}", *flags
    )
    assert run(f"--input={resumed}", f"--output={tmp_path}/back.pth") == 0


def test_existing_workdirs_are_not_changed(resumed, recipe, capsys):
    before = sorted(resumed.rglob("*"))
    flags = (f"--input={CHECKPOINT}", f"--config={recipe}", f"--workdir={resumed}")
    assert "is not empty" in run_rejected(capsys, *flags)
    assert sorted(resumed.rglob("*")) == before


def test_training_resumes_from_the_first_release(recipe, tmp_path):
    """Learning rate times momentum equals the file's for any rate of biases."""
    path, workdir = REFERENCE / "checkpoint_one_group.pth", tmp_path / "run"
    flags = ("--config.optimizer.bias_learning_rate=0.01", "--config.epochs", "7")
    where = (f"--config={recipe}", f"--workdir={workdir}")
    assert run(f"--input={path}", *where, *flags) == 0
    config = Workdir(workdir).config()
    assert (config.epochs, config.optimizer.bias_learning_rate) == (7, 0.01)
    theirs = convert.load(path)["optimizer"]["state"]
    model = keras.models.load_model(checkpoints.find_newest(workdir / "checkpoints")[1])
    momenta = model.optimizer.momenta
    # conv1.weight, bn1.weight and bn1.bias, in the order of registration.
    names = [v.path.split("/", 1)[-1] for v in model.trainable_variables[:3]]
    assert [name.rpartition("/")[2] for name in names] == ["kernel", "gamma", "beta"]
    np.testing.assert_array_equal(
        momenta[0].numpy(), theirs[0]["mu"].transpose(2, 3, 1, 0)
    )
    for index in (1, 2):
        ours, mu = momenta[index].numpy(), theirs[index]["mu"]
        np.testing.assert_allclose(0.01 * ours, 0.2 * mu, rtol=1e-6)


def test_empty_folders_are_kept(recipe, tmp_path, capsys, monkeypatch):
    """Also the current folder, and the target of a link."""
    other, here, link = (tmp_path / name for name in ("other", "here", "link"))
    here.mkdir()
    other.mkdir()
    link.symlink_to(other)
    (tmp_path / ".here.unfinished").mkdir()  # Another process's folder.
    monkeypatch.chdir(here)
    inode = here.stat().st_ino
    for workdir, folder in ((".", here), (link, other)):
        flags = (f"--config={recipe}", f"--workdir={workdir}")
        assert run(f"--input={CHECKPOINT}", *flags) == 0
        assert sorted(p.name for p in folder.iterdir()) == [
            "checkpoints",
            "config.json",
        ]
        assert "is not empty" in run_rejected(capsys, f"--input={CHECKPOINT}", *flags)
    assert here.stat().st_ino == inode
    assert link.is_symlink()
    names = {p.name for p in tmp_path.iterdir() if p.is_dir()}
    assert names >= {".here.unfinished", "here", "link", "other"}
    assert not [name for name in names if name.startswith(".tmp")]


def test_unknown_fields_and_flags(recipe, tmp_path, capsys):
    where = (f"--config={recipe}", f"--workdir={tmp_path}/run")
    for flag, message in (
        ("--config.epoch=7", "epoch"),
        ("--config.epochs=many", "epochs"),
        ("--epochs=7", "epochs"),
    ):
        assert message in run_rejected(capsys, f"--input={CHECKPOINT}", *where, flag)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "width = 1 / 64",
            "width = 0.5",
            "backbone.width is 0.015625 in the file and 0.5",
        ),
        ("depth = 18", "depth = 50", "backbone.depth is 18 in the file and 50 in"),
        ("(8, 8, 8)", "(8, 8)", "is (8, 8, 8) in the file and (8, 8) in"),
        (
            "epochs = 5",
            "epochs = 2",
            "after epoch 3 of 2, so that no epoch remains",
        ),
        ("epochs = 5", "epochs = 3", "increase --config.epochs"),
        ("return config", "config.optimizer.name = 'sgd'\n    return config", "'sgd'"),
        ("batch_size = 8", "batch_size = 800", "800"),
        ("return config", "config.data.source = 'nowhere'\n    return config", "nowhe"),
    ],
)
def test_configs_that_do_not_fit_the_checkpoint(
    recipe, tmp_path, capsys, old, new, message
):
    recipe.write_text(recipe.read_text().replace(old, new))
    workdir = tmp_path / "runs" / "new"
    flags = (f"--input={CHECKPOINT}", f"--config={recipe}", f"--workdir={workdir}")
    assert message in run_rejected(capsys, *flags)
    assert not workdir.parent.exists()


def changed_checkpoint(**changes):
    """The checkpoint with some entries changed, or removed where None."""
    contents = convert.load(CHECKPOINT)
    contents.update(changes)
    return {name: value for name, value in contents.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": None}, "a whole checkpoint, with 'epoch'"),
        ({"epoch": None}, "a whole checkpoint"),
        ({"epoch": "3"}, "a whole checkpoint"),
        ({"optimizer": {"state": {}, "param_groups": []}}, "0 parameter groups"),
        ({"model": {}}, "not the weights of a ResNet"),
    ],
)
def test_incomplete_checkpoints(recipe, tmp_path, capsys, changes, message):
    path, workdir = tmp_path / "bad.pth", tmp_path / "runs" / "new"
    convert.save(path, changed_checkpoint(**changes))
    line = run_rejected(
        capsys, f"--input={path}", f"--config={recipe}", f"--workdir={workdir}"
    )
    assert message in line
    assert "bad.pth" in line
    assert not workdir.parent.exists()
