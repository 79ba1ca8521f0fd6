"""Runs `bt-keras convert` in the test process."""

from bt_keras.cli import main
from bt_keras.cli.faults import BAD_INPUT


def run(*arguments):
    """Runs the command; returns its exit status."""
    return main(["convert", *map(str, arguments)])


def run_rejected(capsys, *arguments):
    """Runs a command that must fail; returns the one line that it prints."""
    capsys.readouterr()
    assert run(*arguments) == BAD_INPUT
    out, error = capsys.readouterr()
    assert not out
    assert error.startswith("bt-keras: error: ")
    assert error.count("\n") == 1
    return error
