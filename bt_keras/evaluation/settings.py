"""The settings of a result, what distinguishes it from others of its evaluator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Scalar = bool | int | float | str
# Results of networks that were trained on a share of the labels have these settings,
# and a table of their own.
LABEL_SHARE = "label_share"
TRAINING_SETTINGS = (LABEL_SHARE, "images", "steps")
# How learning rates are chosen, and the settings that hold what "grid" has chosen.
RATES = ("paper", "grid")
_CHOSEN_RATES = ("head_learning_rate", "learning_rate")


def check_settings(settings: Any) -> None:
    """Checks the settings of a result that is read from a file.

    Args:
        settings: Any JSON value.

    Raises:
        ValueError: If the settings are not those of a result.
    """
    if not isinstance(settings, Mapping):
        raise ValueError("its settings are not a JSON object")
    for name, value in settings.items():
        if not isinstance(value, Scalar):
            raise ValueError(f"its setting {name!r} is not a number or text")
    # The summary of trained networks groups its results by them.
    for name in TRAINING_SETTINGS if LABEL_SHARE in settings else ():
        if not isinstance(settings.get(name), int | float):
            raise ValueError(f"its settings have no number {name!r}")


def without_chosen_rates(settings: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Returns the settings that identify a measurement.

    With `rates="grid"`, the learning rates are a part of what was measured.

    Args:
        settings: Dict from strings to scalars.

    Returns:
        Dict.

    Example:

    >>> from bt_keras.evaluation.settings import without_chosen_rates
    >>> without_chosen_rates({"learning_rate": 0.3, "rates": "grid"})
    {'rates': 'grid'}
    >>> without_chosen_rates({"learning_rate": 0.3})
    {'learning_rate': 0.3}
    """
    if settings.get("rates") != "grid":
        return dict(settings)
    return {k: v for k, v in settings.items() if k not in _CHOSEN_RATES}


def parse_settings(text: str) -> Any:
    """Returns the settings in a cell of results.csv, a JSON object or legacy text."""
    if not text.startswith("{"):
        return parse_legacy_settings(text)
    return json.loads(text)


def parse_legacy_settings(text: str) -> dict[str, Scalar]:
    """Parses the settings of a results.csv that was written before they were JSON.

    Args:
        text: String, `"NAME=VALUE"` or `"COUNT UNIT"`, several separated by commas.

    Returns:
        Dict from names to numbers.

    Raises:
        ValueError: If the text has another form.

    Example:

    >>> from bt_keras.evaluation.settings import parse_legacy_settings
    >>> parse_legacy_settings("k=200, temperature=0.1")
    {'k': 200, 'temperature': 0.1}
    >>> parse_legacy_settings("5 epochs")
    {'epochs': 5}
    >>> parse_legacy_settings("labels=10%, images=51, seed=0, 400 steps")
    {'label_share': 0.1, 'images': 51, 'seed': 0, 'steps': 400}
    """
    settings: dict[str, Scalar] = {}
    for part in text.split(", "):
        if "=" in part:
            name, value = part.split("=")
        else:
            value, name = part.split(" ")
        if value.endswith("%"):
            settings["label_share"] = float(value[:-1]) / 100
        else:
            settings[name] = int(value) if value.isdecimal() else float(value)
    return settings
