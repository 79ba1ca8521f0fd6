"""From a run to its report: `evaluate`, `export` and `report` one after the other."""

import json
import runpy
import shutil
import sys

import pytest
import tensorflow as tf

from bt_keras.cli import main
from tests.cli.commands import one_error_line, rows


def test_evaluate_export_and_report(copied, capsys):
    workdir = f"--workdir={copied}"
    assert main(["evaluate", workdir, "--untrained"]) == 0
    assert main(["evaluate", workdir, "--k=3", "--temperature=0.5"]) == 0
    assert main(["evaluate", workdir, "--protocol=full"]) == 0
    results = rows(copied / "results.csv")
    seen = [(r["backbone"], r["epoch"], r["evaluator"], r["metric"]) for r in results]
    assert seen == [
        (backbone, epoch, evaluator, metric)
        for backbone, epoch, probe in (
            ("untrained", "0", "linear_cached"),
            ("pretrained", "2", "linear_cached"),
            ("pretrained", "2", "linear"),
        )
        for evaluator in ("knn", probe)
        for metric in ("top1", "top5")
    ]
    assert all(0 <= float(r["value"]) <= 1 for r in results)
    assert all(r["test_images"] == "18" for r in results)
    # With two classes every top-5 score is 1.
    assert all(float(r["value"]) == 1 for r in results if r["metric"] == "top5")

    assert main(["export", workdir]) == 0
    assert tf.saved_model.contains_saved_model(copied / "module")
    capsys.readouterr()
    assert main(["report", workdir]) == 0
    report = capsys.readouterr().out
    for part in (
        "knn",
        "linear_cached",
        "untrained",
        "pretrained",
        "invariance",
        "redundancy",
        "views.png",
        str(copied / "module"),
        "18",
    ):
        assert part in report, part


def test_the_page_is_written_into_the_folder_of_the_run(copied, capsys):
    assert main(["report", f"--workdir={copied}"]) == 0
    out = capsys.readouterr().out
    assert f"page:  {copied / 'report.html'}" in out
    assert "missing in the page: module, results" in out
    assert main(["report", f"--workdir={copied}", "--nohtml"]) == 0
    assert "page:" not in capsys.readouterr().out
    page = (copied / "report.html").read_text()
    assert "<title>copied: bt_keras</title>" in page
    assert len(page) < 5e6


def files(folder):
    """Returns the times and sizes of all files in a folder."""
    found = {path: path.stat() for path in folder.rglob("*")}
    return {path: (stat.st_mtime_ns, stat.st_size) for path, stat in found.items()}


def test_several_runs_on_one_page(copied, tmp_path):
    out = tmp_path / "compared.html"
    other = shutil.copytree(copied, tmp_path / "tiny")
    flags = [f"--workdir={copied}", f"--compare={other}", f"--out={out}"]
    before = files(copied) | files(other)
    assert main(["report", *flags]) == 0
    assert files(copied) | files(other) == before
    assert "<title>copied, tiny: bt_keras</title>" in out.read_text()
    assert not (copied / "report.html").exists()


def test_the_page_without_what_is_computed(copied, capsys):
    config = json.loads((copied / "config.json").read_text())
    config["data"]["source"] = "/nowhere"
    (copied / "config.json").write_text(json.dumps(config))
    assert main(["report", f"--workdir={copied}", "--nocompute"]) == 0
    parts = "confusion, correlations, feature_map, module, neighbors, results, spectra"
    assert f"missing in the page: {parts}\n" in capsys.readouterr().out
    page = (copied / "report.html").read_text()
    assert page.count("Missing: left out (--nocompute") == 5


def test_splits_are_chosen_for_every_run(copied, tmp_path, capsys):
    config = json.loads((copied / "config.json").read_text())
    config["data"]["test_split"] = "night"
    (copied / "config.json").write_text(json.dumps(config))
    other = shutil.copytree(copied, tmp_path / "other")
    flags = [f"--workdir={copied}", f"--compare={other}"]
    one_error_line(capsys, ["report", *flags, "--test_split=noon"], "no split 'noon'")
    assert not (copied / "report.html").exists()
    assert main(["report", *flags, "--test_split=test"]) == 0
    assert "missing in the page: module, results" in capsys.readouterr().out
    page = (copied / "report.html").read_text()
    assert "of split &#39;test&#39;" in page
    assert "no split" not in page  # No gap of the other run, either.


def test_without_the_extra_the_table_is_printed(copied, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    assert main(["report", f"--workdir={copied}"]) == 0
    captured = capsys.readouterr()
    assert "no page is written: the page of a run needs altair" in captured.out
    assert "invariance" in captured.out
    assert not (copied / "report.html").exists()
    command = ["report", f"--workdir={copied}", "--html"]
    one_error_line(capsys, command, "pip install 'bt-keras[report]'")


def test_flags_of_the_page(copied, tmp_path, capsys):
    command = ["report", f"--workdir={copied}"]
    one_error_line(capsys, [*command, "--nohtml", "--out=a.html"], "leave out --out")
    splits = ["--train_split=train", "--test_split=test"]
    words = "leave out --train_split and --test_split"
    one_error_line(capsys, [*command, "--nohtml", *splits], words)
    one_error_line(capsys, [*command, "--nocompute", *splits], words)
    one_error_line(capsys, [*command, f"--compare={tmp_path}"], "holds no run")
    one_error_line(capsys, [*command, f"--out={tmp_path}"], "cannot be written")


@pytest.mark.slow
def test_python_dash_m_export_is_the_command(copied, tmp_path, monkeypatch):
    arguments = [f"--workdir={copied}", f"--out={tmp_path / 'module'}"]
    monkeypatch.setattr(sys, "argv", ["export", *arguments])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("export", run_name="__main__")
    assert tf.saved_model.contains_saved_model(tmp_path / "module")


@pytest.mark.parametrize("command", ["evaluate", "export", "report"])
def test_a_folder_without_a_run_is_named(tmp_path, capsys, command):
    one_error_line(capsys, [command, f"--workdir={tmp_path}"], "holds no run")


def test_a_run_without_a_checkpoint_is_named(copied, capsys):
    shutil.rmtree(copied / "checkpoints")
    (copied / "checkpoints").mkdir()
    one_error_line(capsys, ["export", f"--workdir={copied}"], "no checkpoint yet")


def test_missing_labels_are_named(copied, images, tmp_path, capsys):
    flat = tmp_path / "flat"
    for split in ("train", "test"):
        shutil.copytree(images / split / "dark", flat / split)
    arguments = ["evaluate", f"--workdir={copied}", f"--source={flat}"]
    one_error_line(capsys, arguments, "needs labels", str(flat))
    assert not (copied / "results.csv").exists()
