"""Load config files, check their values, and compare configs.

A config file is a Python file with `get_config() -> ml_collections.ConfigDict`. It
starts from `default()`, which is locked: setting a field that does not exist there
raises an error.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import json
import operator
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from bt_keras import checks
from bt_keras.config import json_types, ranges
from bt_keras.errors import UsageError, one_line
from bt_keras.files.reading import parse_json_object

# Beside the package in a checkout, inside it in a wheel (see setup.cfg).
_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = (_PACKAGE.parent / "configs", _PACKAGE / "configs")


def default() -> ConfigDict:
    """Returns the locked `ConfigDict` of configs/default.py, with every field."""
    config = _module(default_file()).get_config()
    with config.unlocked():
        config.lock()
        for section in ranges.OPEN:
            operator.attrgetter(section.rstrip("."))(config).unlock()
    return config


def default_file() -> Path:
    """Returns the path of configs/default.py."""
    return _find("default")


def load(name: str | os.PathLike) -> ConfigDict:
    """Loads a config file.

    Args:
        name: Path of a config file, or the name of one of this project's configs,
            such as `"demo"`.

    Returns:
        Locked `ConfigDict` with the fields of configs/default.py.

    Raises:
        UsageError: If there is no such file, if it has no `get_config`, or if it sets
            a field that does not exist or a value of the wrong type.
    """
    path = Path(name)
    if not path.is_file():
        path = _find(str(name))
    try:
        config = _module(path).get_config()
        _check_fields(config, path)
    except UsageError:
        raise
    except SystemExit as error:
        raise UsageError(
            f"config {path} calls sys.exit: let get_config() return a ConfigDict."
        ) from error
    except Exception as error:  # A user's code may raise anything.
        raise UsageError(
            f"config {path}: {type(error).__name__}: {one_line(error, None)}"
        ) from error
    return config


def _check_fields(config: Any, path: Path) -> None:
    if not isinstance(config, ConfigDict):
        raise UsageError(
            f"config {path}: get_config() returns {type(config).__name__}, not a "
            "ConfigDict: change fields of bt_keras.config.default() and return it."
        )
    found, expected = (
        {f for f in _leaves(c) if not f"{f}.".startswith(ranges.OPEN)}
        for c in (config, default())
    )
    if found != expected:
        raise UsageError(
            f"config {path}: unknown fields: {sorted(found - expected)}; missing "
            f"fields: {sorted(expected - found)}. Start from "
            "bt_keras.config.default()."
        )


def check(config: ConfigDict) -> None:
    """Checks the type and the range of every value of a config.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.

    Raises:
        UsageError: If no run could use a value; the message names the field.
    """
    if not isinstance(config, ConfigDict):
        raise UsageError(
            f"config={checks.described(config)} must be a ConfigDict, such as "
            "bt_keras.config.load('demo')."
        )
    ranges.check(_leaves(config), _leaves(default()))


@contextlib.contextmanager
def naming(origin: str | os.PathLike) -> Iterator[None]:
    """Adds to a `UsageError` where the config comes from.

    Args:
        origin: String or path, such as the file of the config.
    """
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from error


def _leaves(config: ConfigDict, prefix: str = "") -> dict[str, Any]:
    """Returns a flat dict from dotted field names to values as they are."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        if not isinstance(key, str):
            raise UsageError(f"config.{prefix}{key}: its name must be a string.")
        if isinstance(value, (ConfigDict, dict)):
            leaves |= _leaves(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def differences(ours: ConfigDict, theirs: ConfigDict) -> list[tuple[str, Any, Any]]:
    """Lists the fields in which two configs differ.

    Args:
        ours: `ConfigDict`.
        theirs: `ConfigDict`.

    Returns:
        List of `(field, value in ours, value in theirs)`, with `"(none)"` for a
        missing value.
    """
    ours, theirs = (
        {field: value for field, value in fields(config).items() if value != {}}
        for config in (ours, theirs)
    )
    return [
        (field, ours.get(field, "(none)"), theirs.get(field, "(none)"))
        for field in sorted(ours.keys() | theirs.keys())
        if ours.get(field, "(none)") != theirs.get(field, "(none)")
    ]


def to_json(config: ConfigDict) -> str:
    """Returns the config as indented JSON; the fields keep their order."""
    return json.dumps(json.loads(config.to_json()), indent=2) + "\n"


def from_json(text: str) -> ConfigDict:
    """Returns the `ConfigDict` that `to_json` wrote.

    Fields that were added to configs/default.py after the config was written take
    their default values. Where there is no `evaluation.semi` yet, `evaluation.finetune`
    was for shares of the labels, too, and gives its values.

    Raises:
        ValueError: If the text is not a JSON object, or a field has another type than
            in configs/default.py.
    """
    values = parse_json_object(text)
    evaluation = values.get("evaluation")
    if isinstance(evaluation, dict) and isinstance(evaluation.get("finetune"), dict):
        evaluation.setdefault("semi", dict(evaluation["finetune"]))
    config = ConfigDict(values, convert_dict=True)
    json_types.complete(config, default())
    return config


def fields(config: ConfigDict) -> dict[str, Any]:
    """Returns a flat dict from dotted field names to values."""
    values, stack = {}, [("", json.loads(config.to_json()))]
    while stack:
        prefix, value = stack.pop()
        if isinstance(value, dict) and value:
            stack += [(f"{prefix}{key}.", part) for key, part in value.items()]
        else:
            values[prefix.removesuffix(".")] = value
    return values


def _find(name: str) -> Path:
    configs = {p.stem: p for f in _FOLDERS if f.is_dir() for p in f.glob("[a-z]*.py")}
    stem = Path(name).name.removesuffix(".py")
    if name in (stem, f"configs/{stem}.py") and stem in configs:
        return configs[stem]
    near = difflib.get_close_matches(stem, configs, cutoff=0.5)
    raise UsageError(
        f"config {name}: no such file; "
        + (f"did you mean {', '.join(near)}? " if near else "")
        + f"this project's configs are {', '.join(sorted(configs))}."
    )


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bt_keras_config_{path.stem}", path)
    if spec is None:
        raise UsageError(f"config {path}: not a Python file (.py).")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
