"""Checks that Keras computes with TensorFlow. Nothing here imports them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bt_keras.errors import UsageError

NAME = "tensorflow"


def check() -> None:
    """Checks the backend that Keras uses, or will use when it is imported.

    Raises:
        UsageError: If it is not TensorFlow; the message says who set it.
    """
    backend, origin = _backend()
    if backend != NAME:
        raise UsageError(
            f"bt_keras needs KERAS_BACKEND={NAME}, but {origin} {backend!r}: set this "
            "environment variable before Keras is imported."
        )


def _backend() -> tuple[object, str]:
    """Returns Keras's backend and who set it."""
    if keras := sys.modules.get("keras"):
        return keras.config.backend(), "Keras is already imported with"
    if name := os.environ.get("KERAS_BACKEND"):
        return name, "KERAS_BACKEND is"
    file = _config_file()
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        return settings["backend"], f"{file} sets"
    except (OSError, ValueError, KeyError, TypeError):  # Keras's default.
        return NAME, ""


def _config_file() -> Path:
    """Returns the path of Keras's settings, as Keras finds it."""
    home = os.path.expanduser("~")
    folder = Path(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    folder = Path(os.environ.get("KERAS_HOME", folder))
    return (folder / "keras.json").expanduser()
