"""All commands print help, and one line for an error."""

import importlib
import subprocess
import sys

import pytest

from bt_keras.cli import main
from bt_keras.cli.main import COMMANDS
from tests.cli.commands import one_error_line


def test_an_unknown_command_is_an_error_and_no_command_prints_help(capsys):
    one_error_line(capsys, ["pretrian"], "pretrian", "pretrain, evaluate")
    assert main([]) == 0
    overview = capsys.readouterr().out
    for command in COMMANDS:
        assert f"    {command} " in overview


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_a_manual_page_with_every_flag(capsys, command):
    assert main([command, "--help"]) == 0
    manual = capsys.readouterr().out
    module = importlib.import_module(f"bt_keras.cli.{command}")
    first = getattr(module, "POSITIONAL", "--")
    assert f"    bt-keras {command} {first}" in manual
    flags = module.define_flags()
    for name in flags:
        assert f"\n    --{name}" in manual or name == "h"
        assert flags[name].help.endswith("."), name
    assert all(len(line) <= 88 for line in manual.splitlines())


def test_a_closed_pipe_ends_help_without_a_traceback():
    command = [sys.executable, "-m", "bt_keras.cli", "pretrain", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()  # Before the command writes its first line.
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_a_real_process_exits_with_status_2_and_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bt_keras.cli", "evaluate", "--workdir", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("bt-keras: error: workdir")
