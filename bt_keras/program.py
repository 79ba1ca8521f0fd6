"""Tells whether this process is `bt-keras`, or a program that imports bt_keras."""

from __future__ import annotations

import sys
from pathlib import Path


def is_command() -> bool:
    """Returns whether this process is `bt-keras` or `python -m bt_keras.cli`.

    Python calls the program "-m" while it looks for the module of `python -m`.
    """
    return Path(sys.argv[0] if sys.argv else "").stem in ("bt-keras", "-m")
