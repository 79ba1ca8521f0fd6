"""`bt-keras compare`, on a finished run and a changed copy."""

import json
import shutil

from bt_keras.cli import main
from tests.cli.commands import one_error_line


def test_two_runs(copied, tmp_path, capsys):
    other = shutil.copytree(copied, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["lambd"] = 0.25
    (other / "config.json").write_text(json.dumps(config))
    capsys.readouterr()
    assert main(["compare", str(copied), str(other)]) == 0
    recipes, curves, numbers = capsys.readouterr().out.split("\n\n")
    lines = [line.split() for line in recipes.splitlines()]
    assert lines[0] == ["run", "lambd"]
    assert lines[2:] == [["copied", "0.005"], ["other", "0.25"]]
    assert curves.startswith("run, loss after epoch  1 ")
    assert numbers.split()[:5] == ["run", "epochs", "evaluated", "at", "loss"]


def test_bad_input_is_named(copied, tmp_path, capsys):
    command = ["compare", copied]
    one_error_line(capsys, command, "at least two runs")
    one_error_line(capsys, [*command, tmp_path / "none"], "holds no run")
    one_error_line(capsys, [*command, copied, "--score=best"], "'best'", "rankme, ")
    one_error_line(capsys, [*command, "--scores=rankme"], "'--scores=rankme'")
    one_error_line(capsys, [*command, copied], "given twice")
