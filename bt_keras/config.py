"""Load config files, check their values, and compare configs.

A config file is a Python file with `get_config() -> ml_collections.ConfigDict`. It
starts from `default()`, which is locked: setting a field that does not exist there
raises an error.
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import math
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from bt_keras.errors import UsageError, one_line

# Beside the package in a checkout, inside it in a wheel (see setup.cfg).
_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = (_PACKAGE.parent / "configs", _PACKAGE / "configs")

_POSITIVE = (
    "views.size",
    "epochs",
    "microbatches",
    "steps_per_execution",
    "optimizer.learning_rate",
    "checkpoint.keep",
    "evaluation.batch_size",
    "evaluation.knn.k",
    "evaluation.knn.temperature",
    "evaluation.linear.epochs",
    "evaluation.linear.batch_size",
    "evaluation.linear.learning_rate",
    "evaluation.finetune.epochs",
    "evaluation.finetune.batch_size",
    "evaluation.finetune.learning_rate",
    "evaluation.finetune.head_learning_rate",
    "evaluation.finetune.scratch_learning_rate",
)
_RANGES = {
    "seed": (0, 2**32 - 1),
    "checkpoint.every_steps": (0, math.inf),
    "checkpoint.every_minutes": (0, math.inf),
    "checkpoint.keep_every": (0, math.inf),
    "checkpoint.max_rollbacks": (0, math.inf),
    "lambd": (0, math.inf),
    "optimizer.bias_learning_rate": (1e-12, math.inf),
    "optimizer.floor": (0, 1),
    "evaluation.resize_ratio": (1, math.inf),  # The crop fits into the resized image.
    "evaluation.linear.momentum": (0, 1),
    "evaluation.linear.weight_decay": (0, math.inf),
    "evaluation.finetune.min_steps": (0, math.inf),
    "evaluation.finetune.momentum": (0, 1),
}
_PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def default() -> ConfigDict:
    """Returns the locked `ConfigDict` of configs/default.py, with every field."""
    config = _module(_find("default")).get_config()
    # `options` are the arguments of the optimizer's class: any name is allowed.
    with config.unlocked():
        config.lock()
        config.optimizer.options.unlock()
    return config


def load(name: str | os.PathLike) -> ConfigDict:
    """Loads a config file.

    Args:
        name: Path of a config file, or the name of one of this project's configs,
            such as `"demo"`.

    Returns:
        Locked `ConfigDict` with the fields of configs/default.py.

    Raises:
        UsageError: If there is no such file, if it has no `get_config`, or if it sets
            a field that does not exist or a value of another type.
    """
    path = Path(name)
    if not path.is_file():
        path = _find(str(name))
    try:
        config = _module(path).get_config()
    except UsageError:
        raise
    except Exception as error:  # A user's code may raise anything.
        raise UsageError(
            f"config {path}: {type(error).__name__}: {one_line(error, None)}"
        ) from error
    _check_fields(config, path)
    return config


def _check_fields(config: Any, path: Path) -> None:
    if not isinstance(config, ConfigDict):
        raise UsageError(
            f"config {path}: get_config() returns {type(config).__name__}, not a "
            "ConfigDict: change fields of bt_keras.config.default() and return it."
        )
    found, expected = (
        {f for f in fields(c) if not f.startswith("optimizer.options")}
        for c in (config, default())
    )
    if found != expected:
        raise UsageError(
            f"config {path}: unknown fields: {sorted(found - expected)}; missing "
            f"fields: {sorted(expected - found)}. Start from "
            "bt_keras.config.default()."
        )


def check(config: ConfigDict) -> None:
    """Checks the values of a config.

    Args:
        config: `ConfigDict` with the fields of configs/default.py.

    Raises:
        UsageError: If no run could use a value; the message names the field.
    """
    _check_ranges(config)
    _check_batch(config.batch_size, config.microbatches)
    if config.precision not in _PRECISIONS:
        raise UsageError(
            f"config.precision is {config.precision!r}, not one of "
            f"{', '.join(_PRECISIONS)}."
        )
    if not 0 <= config.optimizer.warmup_epochs < config.epochs:
        raise UsageError(
            f"config.optimizer.warmup_epochs is {config.optimizer.warmup_epochs}; it "
            f"must lie in [0, config.epochs), and epochs is {config.epochs}."
        )


def _check_ranges(config: ConfigDict) -> None:
    values = fields(config)
    for field in _POSITIVE:
        if not values[field] > 0:
            raise UsageError(f"config.{field} is {values[field]}; it must be > 0.")
    for field, (low, high) in _RANGES.items():
        if not low <= values[field] <= high:
            raise UsageError(
                f"config.{field} is {values[field]}; it must lie in [{low}, {high}]."
            )


def _check_batch(batch_size: int, microbatches: int) -> None:
    if batch_size < 2:
        raise UsageError(
            f"config.batch_size is {batch_size}: the cross-correlation is computed "
            "along the batch and needs at least 2 images."
        )
    if batch_size % microbatches:
        raise UsageError(
            f"config.microbatches is {microbatches}, which does not divide "
            f"config.batch_size, {batch_size}."
        )
    if batch_size // microbatches < 2:
        raise UsageError(
            f"config.microbatches is {microbatches}, which leaves one image of "
            f"{batch_size}: batch norm needs at least 2."
        )


def differences(ours: ConfigDict, theirs: ConfigDict) -> list[tuple[str, Any, Any]]:
    """Lists the fields in which two configs differ.

    Args:
        ours: `ConfigDict`.
        theirs: `ConfigDict`.

    Returns:
        List of `(field, value in ours, value in theirs)`, with `"(none)"` for a
        missing value.
    """
    ours, theirs = fields(ours), fields(theirs)
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
    their default values.
    """
    config = ConfigDict(json.loads(text), convert_dict=True)
    _add_missing(config, default())
    return config


def _add_missing(config: ConfigDict, defaults: ConfigDict) -> None:
    for field, value in defaults.items():
        if field not in config:
            config[field] = value
        elif isinstance(value, ConfigDict) and field != "options":
            _add_missing(config[field], value)


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
