"""The types of a config's fields, for configs that are read from JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from bt_keras.config.ranges import OPEN
from bt_keras.errors import one_line


def complete(config: ConfigDict, defaults: ConfigDict, prefix: str = "") -> None:
    """Adds the fields that a config lacks, and checks the types of the others.

    Args:
        config: `ConfigDict`, which is changed.
        defaults: `ConfigDict` with all fields.
        prefix: String, the name of the entry that both belong to, for messages.
            Defaults to `""`.

    Raises:
        ValueError: If a value has another type than the default.

    Example:

    >>> from ml_collections import ConfigDict
    >>> from bt_keras.config import json_types
    >>> config = ConfigDict({"epochs": 2})
    >>> json_types.complete(config, ConfigDict({"epochs": 1, "seed": 0}))
    >>> config.to_dict()
    {'epochs': 2, 'seed': 0}
    """
    for field, default in defaults.items():
        if field not in config:
            config[field] = default
        elif not _fits(config[field], default):
            raise ValueError(
                f"{prefix}{field} is {_shown(config[field])}, not {_kind(default)}"
            )
        elif isinstance(default, ConfigDict) and f"{prefix}{field}." not in OPEN:
            complete(config[field], default, f"{prefix}{field}.")


def _fits(value: Any, default: Any) -> bool:
    """Returns whether a JSON value has the type of the default."""
    for kind in (ConfigDict, str, bool):
        if isinstance(default, kind):
            return isinstance(value, kind)
    if isinstance(default, tuple):
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and all(_fits(part, default[0]) for part in value)
        )
    numbers = (int, float) if isinstance(default, float) else int
    return isinstance(value, numbers) and not isinstance(value, bool)


def _kind(default: Any) -> str:
    names = {bool: "true or false", str: "text", int: "an integer", float: "a number"}
    if isinstance(default, tuple):
        plural = {int: "integers", float: "numbers"}
        return f"a list of {plural[type(default[0])]}"
    return names.get(type(default), "a JSON object")


def _shown(value: Any) -> str:
    return one_line(
        repr(value.to_dict() if isinstance(value, ConfigDict) else value), 40
    )
