"""Tells whether this process is `bt-keras`, or a program that imports bt_keras."""

from __future__ import annotations

import sys
from pathlib import Path


def is_command() -> bool:
    """Returns whether this process is `bt-keras` or `python -m bt_keras.cli`."""
    program = sys.argv[0] if sys.argv else ""
    # So Python calls the program while it looks for the module of `python -m`.
    if program == "-m":
        return "bt_keras.cli" in sys.orig_argv
    return Path(program).stem == "bt-keras"
