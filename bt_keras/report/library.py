"""The libraries of the extra `report`."""

from __future__ import annotations

from bt_keras import extras

_PACKAGES = {"altair": "altair", "vl_convert": "vl-convert-python"}


def check() -> None:
    """Raises `UsageError` if a library that pages need cannot be imported."""
    extras.require("the page of a run", "report", _PACKAGES)
