"""The types and ranges of a config's values."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from bt_keras import checks
from bt_keras.config import view_fields
from bt_keras.errors import UsageError

# The range of every number in configs/default.py.
_NUMBERS = {
    "seed": checks.SEED,
    "data.bits": checks.BITS,
    "data.channels": checks.CHANNELS,
    "views.size": checks.COUNT,
    "backbone.depth": checks.COUNT,
    "backbone.width": checks.POSITIVE,
    "backbone.features": checks.WHOLE,
    "lambd": checks.NOT_NEGATIVE,
    "batch_size": checks.COUNT,
    "microbatches": checks.COUNT,
    "epochs": checks.COUNT,
    "steps_per_execution": checks.COUNT,
    "threads": checks.Number(0, 4096, integer=True),
    "optimizer.learning_rate": checks.POSITIVE,
    "optimizer.bias_learning_rate": checks.POSITIVE,
    "optimizer.warmup_epochs": checks.NOT_NEGATIVE,
    "optimizer.floor": checks.FRACTION,
    "callbacks.monitor_every_steps": checks.WHOLE,
    "checkpoint.every_steps": checks.WHOLE,
    "checkpoint.every_minutes": checks.NOT_NEGATIVE,
    "checkpoint.keep": checks.COUNT,
    "checkpoint.keep_every": checks.WHOLE,
    "checkpoint.max_rollbacks": checks.WHOLE,
    "callbacks.linear_probe_learning_rate": checks.POSITIVE,
    "callbacks.knn_every": checks.WHOLE,
    "callbacks.knn_images": checks.COUNT,
    "evaluation.size": checks.WHOLE,
    # At least 1: the crop fits into the resized image.
    "evaluation.resize_ratio": checks.Number(1, 1e3),
    "evaluation.batch_size": checks.COUNT,
    "evaluation.knn.k": checks.COUNT,
    "evaluation.knn.temperature": checks.POSITIVE,
    "evaluation.linear.epochs": checks.COUNT,
    "evaluation.linear.batch_size": checks.COUNT,
    "evaluation.linear.learning_rate": checks.POSITIVE,
    "evaluation.linear.momentum": checks.FRACTION,
    "evaluation.linear.weight_decay": checks.NOT_NEGATIVE,
    "evaluation.labelfree.rank_images": checks.Number(4, integer=True),
    "evaluation.labelfree.cluster_images": checks.Number(4, integer=True),
    "evaluation.labelfree.lidar_images": checks.Number(2, integer=True),
    "evaluation.labelfree.augmentations": checks.Number(2, integer=True),
    "evaluation.multilabel.folds": checks.Number(2, integer=True),
    "evaluation.transfer.epochs": checks.COUNT,
    "evaluation.transfer.batch_size": checks.COUNT,
    "evaluation.transfer.learning_rate": checks.POSITIVE,
    "evaluation.transfer.momentum": checks.FRACTION,
    "evaluation.transfer.weight_decay": checks.NOT_NEGATIVE,
}
_TRAINING = {
    "seeds": checks.COUNT,
    "epochs": checks.COUNT,
    "min_steps": checks.WHOLE,
    "batch_size": checks.COUNT,
    "learning_rate": checks.POSITIVE,
    "head_learning_rate": checks.POSITIVE,
    "scratch_learning_rate": checks.POSITIVE,
    "momentum": checks.FRACTION,
}
_GRIDS = {
    "grid_learning_rates": checks.POSITIVE,
    "grid_head_learning_rates": checks.POSITIVE,
    "grid_scratch_learning_rates": checks.POSITIVE,
}
# The range of the numbers in sequences: one for each band of images, or any number.
_BANDS = {"data.mean": checks.FRACTION, "data.deviation": checks.POSITIVE}
_SEQUENCES = _BANDS | {
    "evaluation.retrieval.at": checks.COUNT,
    "evaluation.multilabel.costs": checks.POSITIVE,
    "evaluation.linear.grid_learning_rates": checks.POSITIVE,
    "evaluation.semi.shares": checks.Number(0, 1, above=True, below=True),
}
for _name in ("evaluation.semi.", "evaluation.finetune."):
    _NUMBERS |= {_name + field: kind for field, kind in _TRAINING.items()}
    _SEQUENCES |= {_name + field: kind for field, kind in _GRIDS.items()}
_OPTIONS = ("backbone.options.", "method.options.", "optimizer.options.")
_VIEWS = ("views.a.", "views.b.")
# Sections with fields that configs/default.py does not list: arguments of the
# network's function and of the classes of the method and the optimizer, and the fields
# in which a view differs from the recipe.
OPEN = (*_OPTIONS, *_VIEWS)
_CHOICES = {
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "data.layout": ("auto", "classes", "splits"),
    "data.statistics": ("given", "measured"),
    "evaluation.feature_dtype": ("float32", "float16"),
    "evaluation.linear.rates": ("paper", "grid"),
    "evaluation.semi.subsets": ("published", "stratified"),
    "evaluation.semi.rates": ("paper", "grid"),
    "evaluation.finetune.rates": ("paper", "grid"),
}


def check(values: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Checks the type and the range of every value of a config.

    Args:
        values: Dict from dotted field names to values.
        defaults: The same of configs/default.py.

    Raises:
        UsageError: If a field of the defaults is missing, or no run could use a value;
            the message names the field.
    """
    for field in defaults:
        if field not in values and not field.startswith(OPEN):
            raise UsageError(f"config.{field} is missing.")
    for whole in (section.rstrip(".") for section in OPEN):
        if whole in values:  # Not a dict, which has fields.
            _require(whole, values[whole], lambda value: False, "a dict")
    is_lars = values["optimizer.name"] == "lars"
    for field, value in values.items():
        _require(field, value, _is_json, "of a type that config.json can hold")
        if field.startswith(_OPTIONS):
            of_lars = is_lars and field.startswith("optimizer.")
            _check_option(field, value, checks.LARS if of_lars else {})
        elif field.startswith(_VIEWS):
            section, _, name = field.rpartition(".")
            view_fields.check(name, value, f"config.{section}.")
        elif field in _NUMBERS:
            _require(field, value, _NUMBERS[field].accepts, _NUMBERS[field])
        elif field in _SEQUENCES:
            kind = f"a list of numbers, each {_SEQUENCES[field]}"
            accepts = functools.partial(_are_all, kind=_SEQUENCES[field])
            _require(field, value, accepts, kind)
        elif field in defaults:
            _check_type(field, value, defaults[field])
    _check_batch(values["batch_size"], values["microbatches"])
    for field, choices in _CHOICES.items():
        if values[field] not in choices:
            raise UsageError(
                f"config.{field} is {values[field]!r}, not one of {', '.join(choices)}."
            )
    _check_bands(values)
    warmup = values["optimizer.warmup_epochs"]
    if not warmup < values["epochs"]:
        raise UsageError(
            f"config.optimizer.warmup_epochs is {warmup}; it must lie in [0, "
            f"config.epochs), and epochs is {values['epochs']}."
        )


def _require(field: str, value: Any, is_valid: Callable, kind: object) -> None:
    if not is_valid(value):
        raise UsageError(
            f"config.{field} is {checks.described(value)}; it must be {kind}."
        )


def _check_option(field: str, value: Any, known: dict[str, checks.Number]) -> None:
    kind = known.get(field.rpartition(".")[2])
    if kind:
        _require(field, value, kind.accepts, kind)
    else:
        plain = "a finite number, a string, True, False, None, or a list of these"
        _require(field, value, _is_plain, plain)


def _check_type(field: str, value: Any, default: Any) -> None:
    """Checks a field that is not a number; the default has its type."""
    if isinstance(default, (list, tuple)):
        kind = "one or more ints > 0, such as (8192, 8192)"
        accepts = functools.partial(_are_all, kind=checks.COUNT)
        _require(field, value, accepts, kind)
    elif isinstance(default, (bool, str)):
        kind = "a string" if isinstance(default, str) else "True or False"
        _require(field, value, lambda v: isinstance(v, type(default)), kind)
        has_null = isinstance(value, str) and "\0" in value
        _require(field, value, lambda v: not has_null, "without null characters")


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _are_all(value: Any, kind: checks.Number) -> bool:
    is_sequence = isinstance(value, (list, tuple)) and len(value) > 0
    return is_sequence and all(map(kind.accepts, value))


def _is_plain(value: Any) -> bool:
    """Returns whether a value is finite and can be kept in config.json."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return checks.FINITE.accepts(value)
    return value is None or isinstance(value, (bool, str))


def _check_bands(values: dict[str, Any]) -> None:
    """Checks that the statistics and the views fit the number of bands."""
    for field in values:
        if field.startswith(_VIEWS):
            section, _, name = field.rpartition(".")
            channels = values["data.channels"]
            view_fields.check_colors(
                name, values[field], channels, f"config.{section}."
            )
    for field in _BANDS if values["data.statistics"] == "given" else ():
        count, channels = len(values[field]), values["data.channels"]
        if count != channels:
            raise UsageError(
                f"config.{field} has {count} numbers, but config.data.channels is "
                f"{channels}: give one for each band, or "
                "config.data.statistics=measured."
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
