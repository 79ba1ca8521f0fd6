"""`bt-keras export`, from flags to output."""

import json
import shutil
import tarfile
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import convert
from bt_keras.augmentation import ops
from bt_keras.checkpoint import save_restore
from bt_keras.cli import main
from tests.cli.commands import one_error_line

HANDLE = "--handle=somebody/barlow-twins/tensorFlow2/tiny"


@pytest.fixture(scope="module")
def evaluated(run, tmp_path_factory):
    """A copy of the finished run, evaluated."""
    workdir = shutil.copytree(run, tmp_path_factory.mktemp("evaluated") / "tiny")
    assert main(["evaluate", f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture(scope="module")
def module(evaluated, tmp_path_factory):
    out = tmp_path_factory.mktemp("exported") / "module"
    flags = [f"--workdir={evaluated}", f"--out={out}", "--projector", "--license=MIT"]
    assert main(["export", *flags]) == 0
    return out


def test_module_archive_and_report(evaluated, module, capsys):
    assert tf.saved_model.contains_saved_model(module)
    assert module.with_name("module.tar.gz").is_file()
    counts = json.loads((evaluated / "export.json").read_text())
    assert counts["module"] == str(module)
    assert counts["passed"] == counts["checks"] > 20
    assert main(["report", f"--workdir={evaluated}"]) == 0
    assert f"{counts['checks']} of {counts['checks']} passed" in capsys.readouterr().out


def test_the_card_has_the_config_and_results_but_no_paths(evaluated, module):
    card = (module / "README.md").read_text()
    for part in ('license: "MIT"', "| 8, 8 |", "linear_cached", "width 0.1", "MIT."):
        assert part in card, part
    for file in module.rglob("*"):
        if file.suffix in (".md", ".json"):
            assert str(evaluated.parent.parent) not in file.read_text()


def test_verify_prints_a_table_and_returns_its_status(module, tmp_path, capsys):
    assert main(["export", f"--verify={module}.tar.gz"]) == 0
    table = capsys.readouterr().out
    assert "hub.KerasLayer: error" in table
    assert "DIFFERS" not in table
    changed = shutil.copytree(module, tmp_path / "module")
    (changed / "README.md").write_text("# Another card\n")
    assert main(["export", f"--verify={changed}"]) == 1
    output = capsys.readouterr()
    (line,) = [x for x in output.out.splitlines() if "DIFFERS" in x]
    assert "README.md" in line
    assert "0 of 1 checks passed" in output.out
    assert "not loaded: --trust" in output.out
    assert not output.err
    assert main(["export", f"--verify={changed}", "--trust"]) == 1
    table = capsys.readouterr().out
    assert table.count("DIFFERS") == 1
    assert "hub.KerasLayer: error" in table
    archive = f"{module}.tar.gz"
    one_error_line(capsys, ["export", f"--verify={archive}", "--max_bytes=99"], "99")


@pytest.mark.parametrize("link", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_an_archive_with_links_is_refused(tmp_path, capsys, link):
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("saved_model.pb", "link"):
            member = tarfile.TarInfo(name)
            if name == "link":
                member.type, member.linkname = link, "saved_model.pb"
            tar.addfile(member)
    before = sorted(Path(tempfile.gettempdir()).glob("bt_keras-*"))
    one_error_line(capsys, ["export", f"--verify={path}"], "m.tar.gz", "not unpacked")
    assert sorted(Path(tempfile.gettempdir()).glob("bt_keras-*")) == before


def test_a_keras_file(evaluated, tmp_path, capsys):
    out = tmp_path / "new" / "backbone.keras"
    flags = [f"--workdir={evaluated}", f"--out={out}", "--format=keras"]
    assert main(["export", *flags]) == 0
    assert "differ by at most" in capsys.readouterr().out
    features = keras.models.load_model(out)(np.zeros((1, 8, 8, 3)))
    assert features.shape == (1, 12)
    one_error_line(capsys, ["export", *flags], "exists already")


def test_an_earlier_checkpoint(copied, tmp_path, capsys):
    out = tmp_path / "backbone.keras"
    flags = [f"--workdir={copied}", f"--out={out}", "--format=keras"]
    parts = ["'epoch-0003'", "'epoch-0001', 'epoch-0002'"]
    one_error_line(capsys, ["export", *flags, "--checkpoint=epoch-0003"], *parts)
    assert main(["export", *flags, "--checkpoint=epoch-0001"]) == 0
    checkpoint = save_restore.load(copied / "checkpoints" / "epoch-0001.keras")
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    np.testing.assert_allclose(
        keras.models.load_model(out)(images),
        checkpoint.backbone(ops.normalize_unit(images), training=False),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_tensorflow_lite_file(evaluated, tmp_path, capsys):
    out = tmp_path / "backbone.tflite"
    flags = [f"--workdir={evaluated}", f"--out={out}", "--format=tflite"]
    assert main(["export", *flags]) == 0
    assert out.read_bytes()[4:8] == b"TFL3"
    assert [path.name for path in tmp_path.iterdir()] == ["backbone.tflite"]


def test_weights_become_a_module(exported, tmp_path, capsys):
    weights, out = tmp_path / "weights.pth", tmp_path / "module"
    convert.save(weights, convert.to_torch(exported.model, "torchvision", 3))
    flags = [f"--input={weights}", f"--out={out}", "--image_size=32"]
    one_error_line(capsys, ["export", *flags, "--projector"], "without a projector")
    assert not out.exists()
    assert main(["export", *flags]) == 0
    lines = capsys.readouterr().out
    assert "weights.pth: resnet10 (" in lines
    assert "left out: 'fc.weight', 'fc.bias'" in lines
    assert "checks passed in a fresh process" in lines
    features = bt_keras.load_backbone(out)(exported.images)
    np.testing.assert_allclose(features, exported.features(), rtol=1e-3, atol=1e-5)
    one_error_line(capsys, ["export", *flags], "module.tar.gz", "exists already")
    out.with_name("module.tar.gz").unlink()
    one_error_line(capsys, ["export", *flags], "module is not empty")


def test_networks_of_one_size_and_of_other_inputs(tmp_path, capsys):
    images = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    keras.Model(images, keras.layers.Dense(4)(pooled)).save(tmp_path / "fixed.keras")
    out = tmp_path / "fixed.tflite"
    flags = [f"--input={tmp_path / 'fixed.keras'}", f"--out={out}", "--format=tflite"]
    assert main(["export", *flags]) == 0
    rows = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
    rows.save(tmp_path / "rows.keras")
    flags = [f"--input={tmp_path / 'rows.keras'}", f"--out={tmp_path / 'module'}"]
    one_error_line(capsys, ["export", *flags], "does not take images", "in Python")


def test_a_dry_run_lists_what_would_be_published(module, capsys):
    before = sorted(module.parent.iterdir())
    flags = ["--publish=kaggle", f"--out={module}", HANDLE, "--dry_run"]
    assert main(["export", *flags]) == 0
    out = capsys.readouterr().out
    for part in ("saved_model.pb", "license: MIT", "nothing was sent"):
        assert part in out
    assert sorted(module.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["--workdir is missing", "--input=WEIGHTS"]),
        (["--input=w.pth"], ["--input requires --out"]),
        (["--input=w.pth", "--out=m"], ["w.pth cannot be read", "No such file"]),
        (["--input=w.onnx", "--out=m"], ["w.onnx", "no such"]),
        (["--input=w.pth", "--out=m", "--workdir=RUN"], ["--input and --workdir"]),
        (["--workdir=RUN", "--image_size=8"], ["--image_size requires --input"]),
        (["--verify=nowhere"], ["nowhere", "no such folder"]),
        (["--verify=m", "--workdir=w"], ["--verify", "--workdir"]),
        (["--workdir=w", "--trust"], ["--trust", "--verify"]),
        (["--workdir=w", "--max_bytes=9"], ["--max_bytes", "--verify"]),
        (["--verify=m", "--projector"], ["--verify", "--projector"]),
        (["--verify=m", "--checkpoint=epoch-1"], ["--verify", "--checkpoint"]),
        (["--verify=m", "--image_size=8"], ["--verify", "--image_size"]),
        (["--verify="], ["empty"]),
        (["--workdir=RUN", "--out=/"], ["--out=/"]),
        (["--workdir=nowhere"], ["nowhere", "holds no run"]),
        (["--workdir=RUN", "--format=h5"], ["format", "savedmodel"]),
        (["--workdir=RUN", "--format=keras", "--out=x.h5"], ["x.h5", ".keras"]),
        (["--workdir=RUN", "--format=tflite", "--projector"], ["--projector"]),
        (["--workdir=RUN", "--publish=hub"], ["publish", "kaggle"]),
        (["--workdir=RUN", "--publish=kaggle"], ["OWNER/MODEL"]),
        (["--workdir=RUN", "--publish=kaggle", "--handle=a/b"], ["a/b"]),
        (["--workdir=RUN", "--publish=kaggle", HANDLE], ["--license"]),
        (["--workdir=RUN", "--dry_run"], ["--publish=kaggle"]),
        (["--out=x", "--publish=kaggle", "--checkpoint=e"], ["--checkpoint requires"]),
        (["--out=nowhere", "--publish=kaggle", HANDLE], ["nowhere"]),
        (["--workdir=RUN", "--out=RUN"], ["not empty"]),
        (["--workdir=RUN", "--out=m.keras"], ["m.keras", "--format"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_errors_of_flags_are_one_line(run, capsys, monkeypatch, tmp_path, flags, parts):
    monkeypatch.chdir(tmp_path)
    flags = [flag.replace("RUN", str(run)) for flag in flags]
    one_error_line(capsys, ["export", *flags], *parts)
    assert not list(tmp_path.iterdir())
    assert not (run / "module").exists()
