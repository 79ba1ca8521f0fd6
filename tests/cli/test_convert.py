"""`bt-keras convert` in both directions."""

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import bt_keras
from bt_keras import convert
from tests.conftest import REFERENCE
from tests.convert.commands import run, run_rejected
from tests.reference import weights

CHECKPOINT = REFERENCE / "checkpoint.pth"
BACKBONE = REFERENCE / "backbone_stream.pth"


def test_backbone_round_trip(tmp_path, capsys):
    model, back = tmp_path / "resnet18.keras", tmp_path / "back.pth"
    assert run("--input", BACKBONE, "--output", model) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{model}: ResNet-18, 100 arrays, ")
    assert printed.count("\n") == 1
    assert run(f"--input={model}", f"--output={back}") == 0
    assert capsys.readouterr().out == f"{back}: official names, 120 arrays\n"
    ours, theirs = convert.load(back), convert.load(BACKBONE)
    assert list(ours) == list(theirs)
    for name in theirs:
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(ours[name], theirs[name])


def test_checkpoint_round_trip(tmp_path, capsys):
    model, back = tmp_path / "model.keras", tmp_path / "back.pth"
    assert run(f"--input={CHECKPOINT}", f"--output={model}") == 0
    assert "BarlowTwins with a ResNet-18" in (printed := capsys.readouterr().out)
    assert printed.endswith(", optimizer state\n")
    ours = keras.models.load_model(model)
    theirs = convert.from_torch(CHECKPOINT)
    for mine, yours in zip(
        (*ours.variables, *ours.optimizer.variables),
        (*theirs.variables, *theirs.optimizer.variables),
        strict=True,
    ):
        np.testing.assert_array_equal(mine.numpy(), yours.numpy())
    line = run_rejected(capsys, f"--input={model}", f"--output={back}", "--checkpoint")
    assert "pass it with --epoch" in line
    flags = ("--checkpoint", "--epoch=3")
    assert run(f"--input={model}", f"--output={back}", *flags) == 0
    assert "optimizer state, after epoch 3" in capsys.readouterr().out
    ours, theirs = convert.load(back), convert.load(CHECKPOINT)
    for index, values in theirs["optimizer"]["state"].items():
        mu = ours["optimizer"]["state"][index]["mu"]
        np.testing.assert_allclose(mu, values["mu"], rtol=1e-6)


def test_process_prints_one_line(tmp_path):
    model = tmp_path / "model.keras"
    convert.from_torch(CHECKPOINT).save(model)
    command = [sys.executable, "-m", "bt_keras.cli", "convert"]
    flags = [f"--input={model}", f"--output={tmp_path}/out.pth", "--checkpoint"]
    done = subprocess.run(
        [*command, *flags, "--epoch=3"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


def test_namings_and_formats(tmp_path, capsys):
    model = tmp_path / "model.keras"
    assert run(f"--input={CHECKPOINT}", f"--output={model}") == 0

    def back(name, *flags):
        path = tmp_path / name
        assert run(f"--input={model}", f"--output={path}", *flags) == 0
        return convert.load(path)

    assert back("t.pth", "--naming=torchvision")["fc.bias"].shape == (1000,)
    few = back("t.npz", "--naming=torchvision", "--classes=3")
    assert few["fc.weight"].shape == (3, 8)
    none = back("t.safetensors", "--naming=torchvision", "--classes=0")
    assert "fc.weight" not in none
    whole = back("o.npz")
    assert "projector.6.weight" in whole
    detectron2 = back("d.pth", "--naming=detectron2")
    assert detectron2["__author__"] == "bt_keras"
    assert "res2.0.conv1.norm.bias" in detectron2["model"]
    assert "res2.0.conv1.norm.bias" in back("d.npz", "--naming=detectron2")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output=x.keras"], "--input is missing. File to convert"),
        (["--input=nowhere.pth", "--output=x.keras"], "nowhere.pth: there is no such"),
        ([f"--input={BACKBONE}"], "pass --output"),
        ([f"--input={BACKBONE}", "--output=x.h5"], "must end in .keras"),
        (
            [f"--input={BACKBONE}", "--output=x.keras", "--classes=3"],
            "--classes cannot be used",
        ),
        ([f"--input={BACKBONE}", "--workdir=x"], "pass --config"),
        (
            [f"--input={BACKBONE}", "--output=x.keras", "--config.epochs=3"],
            "requires --config and",
        ),
        ([f"--input={BACKBONE}", "--output=no/x.keras"], "there is no folder no"),
        ([f"--input={BACKBONE}", "--workdir=x", "--output=x.keras"], "pass --config"),
        (["--input={keras}", "--output=x.h5"], "not '.h5'"),
        (["--input={keras}", "--output=x.pth", "--naming=caffe"], "--naming=caffe"),
        (["--input={keras}", "--output=x.pth", "--classes=3"], "--classes requires"),
        (
            ["--input={keras}", "--output=x.npz", "--checkpoint"],
            "--checkpoint requires",
        ),
        (["--input={keras}", "--output=x.pth", "--epoch=3"], "--epoch requires"),
        (["--input={keras}", "--output=x.pth", "--workdir=x"], "--workdir cannot be"),
        (["--input={keras}", "--output=x.pth"], "bad.keras cannot be read"),
        (["--input={folder}", "--output=x.pth"], "has no checkpoint"),
    ],
)
def test_invalid_flags(flags, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.keras").write_text("text")
    (tmp_path / "folder").mkdir()
    flags = [f.format(keras="bad.keras", folder="folder") for f in flags]
    assert message in run_rejected(capsys, *flags)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.keras", "folder"]


def test_bad_inputs_write_nothing(tmp_path, capsys):
    state = weights.resnet_state(18, 1, 1)
    missing = {name: a for name, a in state.items() if name != "bn1.bias"}
    convert.save(tmp_path / "missing.pth", missing)
    convert.save(tmp_path / "extra.pth", {**state, "more.weight": np.zeros(2)})
    convert.save(tmp_path / "shape.pth", {**state, "bn1.bias": np.zeros(2)})
    (tmp_path / "cut.pth").write_bytes(CHECKPOINT.read_bytes()[:20_000])
    (tmp_path / "text.pth").write_text("text")
    before = sorted(tmp_path.iterdir())
    for name, message in {
        "missing": "missing bn1.bias",
        "extra": "unexpected 'more.weight'",
        "shape": "bn1.bias has shape (2,) instead of (1,)",
        "cut": "truncated or damaged",
        "text": "is not a PyTorch file",
    }.items():
        output = tmp_path / "out.keras"
        path = tmp_path / f"{name}.pth"
        line = run_rejected(capsys, f"--input={path}", f"--output={output}")
        assert message in line
        assert str(path) in line
    assert sorted(tmp_path.iterdir()) == before


def test_existing_outputs_are_not_overwritten(tmp_path, capsys):
    model, state = tmp_path / "model.keras", tmp_path / "state.pth"
    assert run(f"--input={BACKBONE}", f"--output={model}") == 0
    shutil.copy(BACKBONE, state)
    before = model.read_bytes(), state.read_bytes()
    line = run_rejected(capsys, f"--input={BACKBONE}", f"--output={model}")
    assert "exists already" in line
    line = run_rejected(capsys, f"--input={model}", f"--output={state}")
    assert "exists already" in line
    assert (model.read_bytes(), state.read_bytes()) == before


def test_unsupported_models(tmp_path, capsys):
    inputs = keras.Input((8,))
    other = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    other.save(tmp_path / "other.keras")
    flags = (f"--input={tmp_path}/other.keras", f"--output={tmp_path}/out.pth")
    assert "only backbones from bt_keras.resnet" in run_rejected(capsys, *flags)
    assert not (tmp_path / "out.pth").exists()
    model = bt_keras.BarlowTwins(bt_keras.resnet(18, 1 / 64), (4,))
    model.save(tmp_path / "plain.keras")
    flags = (f"--input={tmp_path}/plain.keras", f"--output={tmp_path}/out.pth")
    line = run_rejected(capsys, *flags, "--checkpoint", "--epoch=1")
    assert "the model's optimizer is NoneType" in line
