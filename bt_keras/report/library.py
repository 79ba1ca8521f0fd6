"""The libraries of the extra `report`."""

from __future__ import annotations

import importlib

from bt_keras.errors import UsageError

_NAMES = {"altair": "altair", "vl_convert": "vl-convert-python"}


def check() -> None:
    """Raises `UsageError` if a library that pages need cannot be imported."""
    for name, package in _NAMES.items():
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(
                f"the page of a run needs {package}: pip install 'bt-keras[report]'."
            ) from error
