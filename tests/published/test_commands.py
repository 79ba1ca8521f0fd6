"""`python -m export`: published models, and the export of a run."""

import json
import re
import shutil
import subprocess
import sys
import types

import pytest
import yaml

from bt_keras import config as config_lib
from bt_keras.hub import metadata
from bt_keras.hub.unpack import unpack
from bt_keras.workdir import Workdir
from export import __main__ as program
from export import rebuild, recipe, records
from tests import tiny
from tests.markdown import ROOT

NAME = "fashion_mnist_resnet18_w25"
_RECIPE = """
LICENSE, TRANSFER, LIMITS = "Apache-2.0", (), ["Large images."]
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A copy of the built models, in which tests may change files."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in records.built():
        shutil.copytree(records.FOLDER / name, folder / name)
    monkeypatch.setattr(records, "FOLDER", folder)
    return folder


def one_line(capsys, *arguments):
    capsys.readouterr()
    assert program.run([str(each) for each in arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("bt-keras: error: ")
    return line


@pytest.mark.parametrize("arguments", [[], ["list"]])
def test_the_list_has_every_model_and_needs_no_tensorflow(arguments):
    code = "import sys, export.__main__ as e; e.run(sys.argv[1:])"
    code += "; assert 'tensorflow' not in sys.modules"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for name in records.names():
        assert name in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.startswith(NAME))
    record = records.read(NAME)
    assert f"{record['parameters']:,}" in line
    assert f"{record['bytes'] / 1e6:.1f} MB" in line


@pytest.mark.parametrize("name", records.built())
def test_module_card_and_results_belong_together_and_are_small(name):
    assert records.differing(name) == []
    assert records.archive(name).stat().st_size <= 4_000_000


@pytest.mark.parametrize("name", records.built())
def test_the_card_has_what_the_results_have(name, tmp_path):
    unpack(records.archive(name), tmp_path)
    described = metadata.read(tmp_path, name)
    record = records.read(name)
    text = (records.FOLDER / name / "README.md").read_text(encoding="utf-8")
    assert described.published == name
    assert described.results == record["results"]
    for part in (
        f'bt_keras.load_backbone("{name}")',
        f"{record['parameters']:,}",
        f"{record['multiply_adds']:,}",
        *record["commands"],
        *record["latency"],
        *described.limits,
    ):
        assert part in text, part
    # The images that it was trained on, and others.
    assert len({row["source"] for row in record["results"]}) >= 2
    front = yaml.safe_load(text.split("---\n")[1])
    [index] = front["model-index"]
    assert index["name"] == front["model_name"] == name
    found = {each["metrics"][0]["name"] for each in index["results"]}
    for evaluator in ("knn", "linear_cached"):
        assert any(evaluator in each for each in found), found


@pytest.mark.parametrize("name", records.built())
def test_the_module_was_trained_by_its_recipe(name, tmp_path):
    unpack(records.archive(name), tmp_path / "module")
    described = metadata.read(tmp_path / "module", name)
    trained = config_lib.from_json(json.dumps(described.config))
    run, config = Workdir(tmp_path / "run"), recipe.read(name).config
    trained.data.source = config.data.source  # The same images can have other names.
    run.claim(trained)
    run.check_config(config)  # As a run that resumes by the recipe.
    for field in ("size", "resize_ratio"):
        assert trained.evaluation[field] == config.evaluation[field], field


def test_the_documentation_has_the_tables_of_the_list(capsys):
    assert program.run([]) == 0
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith(tuple(records.built()))]
    assert len(rows) >= 3 * len(records.built())  # One, and one for each data set.
    for line in rows:
        name, *cells = re.split(r" {2,}", line.strip())
        assert f"| {' | '.join([f'`{name}`', *cells])} |" in page


@pytest.mark.slow  # Starts a process that loads the module.
def test_verify_passes_and_finds_what_was_changed(models, capsys):
    assert program.run(["verify"]) == 0
    assert re.search(r"(\d+) of \1 checks passed", capsys.readouterr().out)
    (models / NAME / "README.md").write_text("# Another\n")
    assert program.run(["verify", NAME]) == 1
    assert "README.md is not that of module.tar.gz" in capsys.readouterr().out


def test_changed_results_and_large_modules_differ(models, monkeypatch, capsys):
    path = models / NAME / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sha256": "0"}))
    assert records.differing(NAME) == [
        "the SHA-256 of module.tar.gz is not that of results.json"
    ]
    monkeypatch.setattr(records, "MAX_BYTES", 1000)
    assert "more than 1,000" in records.differing(NAME)[0]
    (models / NAME / "module.tar.gz").write_bytes(b"damaged")
    assert len(records.differing(NAME)) == 2
    publish = ["publish", NAME, "--publish=kaggle", "--handle=a/b/tensorFlow2/c"]
    assert "damaged" in one_line(capsys, *publish, "--dry_run")


def test_publishing_sends_what_bt_keras_export_sends(capsys):
    handle = "--handle=somebody/barlow-twins/tensorFlow2/small"
    arguments = ["publish", NAME, "--publish=kaggle", handle, "--dry_run"]
    assert program.run(arguments) == 0
    out = capsys.readouterr().out
    assert "license: Apache 2.0" in out
    assert "saved_model.pb" in out
    assert "nothing was sent" in out


def test_wrong_arguments_are_one_line(models, capsys):
    (models / "empty").mkdir()
    (models / "empty" / "recipe.py").touch()
    names = ", ".join(records.names())
    assert "list, rebuild, verify, publish" in one_line(capsys, "lsit")
    assert names in one_line(capsys, "verify", "nothing")
    assert names in one_line(capsys, "publish")
    assert "'more' is one argument too many" in one_line(capsys, "list", "more")
    assert "python -m export rebuild NAME" in one_line(capsys, "rebuild")
    assert "'--x' is not a flag" in one_line(capsys, "rebuild", NAME, "--x")
    assert "empty is not built" in one_line(capsys, "publish", "empty")
    assert "--publish is missing" in one_line(capsys, "publish", NAME)
    other = ("--publish=kaggle", "--out=other", "--dry_run")
    assert "--out: publish sends" in one_line(capsys, "publish", NAME, *other)
    (models / NAME / "results.json").write_text("[")
    assert "results.json" in one_line(capsys, "list")


def test_flags_alone_are_those_of_bt_keras_export(tmp_path, capsys):
    assert "holds no run" in one_line(capsys, f"--workdir={tmp_path}", "--out=module")
    assert program.run(["--help"]) == 0
    assert "python -m export rebuild NAME" in capsys.readouterr().out


def test_the_card_names_the_images_that_were_trained_on(tmp_path):
    config = config_lib.load("cifar10_fast")
    read = types.SimpleNamespace(config=config)
    run = types.SimpleNamespace(config=config.copy_and_resolve_references)
    assert rebuild._changed_source(run, read) == []
    copies = config.copy_and_resolve_references()
    copies.data.source = str(tmp_path)
    run.config = lambda: copies
    changes = rebuild._changed_source(run, read)
    first, *_ = rebuild._commands("runs/a", "recipe.py", [], changes)
    source = f"--config.data.source={tmp_path.name}"
    assert first == ["pretrain", "--config=recipe.py", source, "--workdir=runs/a"]


@pytest.mark.slow  # Trains a small network in processes of their own.
def test_rebuild_trains_measures_and_exports(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    images = tiny.write_images(tmp_path / "images")
    others = tiny.write_images(tmp_path / "others", per_class=6)
    (models / "tiny").mkdir()
    recipe = tiny.write_config(models / "tiny" / "recipe.py", images, depth=18)
    assert "recipe.py lacks LICENSE" in one_line(capsys, "rebuild", "tiny")
    recipe.write_text(recipe.read_text() + _RECIPE)
    flags = [f"--workdir={tmp_path / 'run'}", f"--transfer={others}"]
    assert program.run(["rebuild", "tiny", *flags]) == 0
    assert sorted(path.name for path in (models / "tiny").iterdir()) == [
        "README.md",
        "module.tar.gz",
        "recipe.py",
        "results.json",
    ]
    assert records.differing("tiny") == []
    record = records.read("tiny")
    assert {row["source"] for row in record["results"]} == {"images", "others"}
    assert str(tmp_path) not in (models / "tiny" / "README.md").read_text()
    assert "--workdir=runs/tiny --untrained" in record["commands"][1]
    assert set(record["latency_milliseconds"]) == {"1", "64"}

    # Of a finished run, nothing is trained or measured again.
    before = (tmp_path / "run" / "results.csv").read_bytes()
    monkeypatch.setattr(records, "MAX_BYTES", 1000)
    assert "more than 1,000" in one_line(capsys, "rebuild", "tiny", *flags)
    assert (tmp_path / "run" / "results.csv").read_bytes() == before
    assert records.read("tiny") == record

    # Settings of the evaluation may differ in a workdir, but not what it publishes.
    text = recipe.read_text()
    size = "    config.evaluation.size = 12\n    return config"
    recipe.write_text(text.replace("    return config", size, 1))
    line = one_line(capsys, "rebuild", "tiny", *flags)
    assert "evaluation.size=0, the recipe 12" in line
    recipe.write_text(text.replace("epochs = 2", "epochs = 3", 1))
    line = one_line(capsys, "rebuild", "tiny", *flags)
    assert "another config: epochs is 2, not 3" in line
