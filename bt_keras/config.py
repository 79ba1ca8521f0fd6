"""Recipes: load a config file, check its values, compare it with a run's.

A recipe is a Python file with `get_config() -> ml_collections.ConfigDict`. It starts
from `default()`, which is locked: a field that does not exist there is an error.
"""

import difflib
import importlib.util
import json
import math
from pathlib import Path

from ml_collections import ConfigDict

from bt_keras.errors import UsageError, one_line

# Next to the package in a checkout, inside it in a wheel (see setup.cfg).
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
    "evaluation.linear.momentum": (0, 1),
    "evaluation.linear.weight_decay": (0, math.inf),
    "evaluation.finetune.min_steps": (0, math.inf),
    "evaluation.finetune.momentum": (0, 1),
}
_PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def default():
    """Returns the `ConfigDict` of configs/default.py, every field there is."""
    config = _module(_find("default")).get_config()
    # `options` are another class's arguments in every recipe: open to any name.
    with config.unlocked():
        config.lock()
        config.optimizer.options.unlock()
    return config


def load(name):
    """Loads a recipe.

    Args:
        name: str or path: a config file, or the bare name of one of this project's
            recipes (`"demo"`).

    Returns:
        A locked `ConfigDict`.

    Raises:
        UsageError: if there is no such file, it has no `get_config`, or it sets a
            field that does not exist or with a value of another type.
    """
    path = Path(name)
    if not path.is_file():
        path = _find(str(name))
    try:
        config = _module(path).get_config()
    except UsageError:
        raise
    except Exception as error:  # Whatever a user's own code may raise.
        raise UsageError(
            f"config {path}: {type(error).__name__}: {one_line(error, None)}"
        ) from error
    _check_fields(config, path)
    return config


def _check_fields(config, path):
    if not isinstance(config, ConfigDict):
        raise UsageError(
            f"config {path}: get_config() gives {type(config).__name__}; let it start "
            "from bt_keras.config.default(), change fields, and return that."
        )
    ours, known = (
        {f for f in fields(c) if not f.startswith("optimizer.options")}
        for c in (config, default())
    )
    if ours != known:
        raise UsageError(
            f"config {path}: fields that do not exist: {sorted(ours - known)}; fields "
            f"that are missing: {sorted(known - ours)}. Start from "
            "bt_keras.config.default()."
        )


def check(config):
    """Raises `UsageError` for values that no run could use; names the field."""
    for field in _POSITIVE:
        if not config_value(config, field) > 0:
            raise UsageError(
                f"config.{field} is {config_value(config, field)}; it must be > 0."
            )
    for field, (low, high) in _RANGES.items():
        if not low <= config_value(config, field) <= high:
            raise UsageError(
                f"config.{field} is {config_value(config, field)}; it must lie in "
                f"[{low}, {high}]."
            )
    if config.batch_size < 2:
        raise UsageError(
            f"config.batch_size is {config.batch_size}: the cross-correlation is "
            "computed along the batch and needs at least 2 images."
        )
    if config.batch_size % config.microbatches:
        raise UsageError(
            f"config.microbatches is {config.microbatches}, which does not divide "
            f"config.batch_size, {config.batch_size}."
        )
    if config.batch_size // config.microbatches < 2:
        raise UsageError(
            f"config.microbatches is {config.microbatches}, which leaves one image of "
            f"{config.batch_size}: batch norm needs at least 2."
        )
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
    if config.evaluation.resize_ratio < 1:
        raise UsageError(
            f"config.evaluation.resize_ratio is {config.evaluation.resize_ratio}; the "
            "crop must fit into the resized image, so it must be >= 1."
        )


def config_value(config, field):
    """Returns the value of a dotted field, such as `"optimizer.name"`."""
    for part in field.split("."):
        config = config[part]
    return config


def differences(ours, theirs):
    """Lists the fields in which two configs differ.

    Args:
        ours: `ConfigDict`.
        theirs: `ConfigDict`.

    Returns:
        list of `(field, value in ours, value in theirs)`, `"(none)"` where absent.
    """
    ours, theirs = fields(ours), fields(theirs)
    return [
        (field, ours.get(field, "(none)"), theirs.get(field, "(none)"))
        for field in sorted(ours.keys() | theirs.keys())
        if ours.get(field, "(none)") != theirs.get(field, "(none)")
    ]


def to_json(config):
    """Returns str, the config as indented JSON with the fields in their order."""
    return json.dumps(json.loads(config.to_json()), indent=2) + "\n"


def from_json(text):
    """Returns the `ConfigDict` that `to_json` wrote."""
    config = ConfigDict(json.loads(text), convert_dict=True)
    _add_missing(config, default())  # Those that came after the run.
    return config


def _add_missing(config, defaults):
    for field, value in defaults.items():
        if field not in config:
            config[field] = value
        elif isinstance(value, ConfigDict) and field != "options":
            _add_missing(config[field], value)


def fields(config):
    """Returns a flat dict from dotted names to the values of a config's fields."""
    values, stack = {}, [("", json.loads(config.to_json()))]
    while stack:
        prefix, value = stack.pop()
        if isinstance(value, dict) and value:
            stack += [(f"{prefix}{key}.", part) for key, part in value.items()]
        else:
            values[prefix.removesuffix(".")] = value
    return values


def _find(name):
    recipes = {p.stem: p for f in _FOLDERS if f.is_dir() for p in f.glob("[a-z]*.py")}
    stem = Path(name).name.removesuffix(".py")
    if name in (stem, f"configs/{stem}.py") and stem in recipes:
        return recipes[stem]
    near = difflib.get_close_matches(stem, recipes, cutoff=0.5)
    raise UsageError(
        f"config {name}: no such file; "
        + (f"did you mean {', '.join(near)}? " if near else "")
        + f"this project's recipes are {', '.join(sorted(recipes))}."
    )


def _module(path):
    spec = importlib.util.spec_from_file_location(f"bt_keras_config_{path.stem}", path)
    if spec is None:
        raise UsageError(f"config {path}: not a Python file (.py).")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
