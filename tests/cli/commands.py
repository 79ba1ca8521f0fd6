"""Runs commands and reads the files that they write."""

import csv

from bt_keras.cli import main


def one_error_line(capsys, arguments, *parts):
    """Runs a command that must fail, and checks the one line that it prints."""
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("bt-keras: error: ")
    for part in parts:
        assert part in lines[0], lines[0]


def rows(path):
    """Reads a CSV file as a list of dicts."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
