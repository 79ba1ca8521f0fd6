"""Recipes of the published models."""

from __future__ import annotations

import dataclasses
import runpy
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from export import records

_CONSTANTS = ("LICENSE", "TRANSFER", "LIMITS")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A recipe.py: a config file with a few constants.

    Args:
        file: Path of the file.
        config: `ConfigDict` of its `get_config()`.
        license: String, its `LICENSE`, the SPDX name of the weights' license.
        transfer: Sequence of strings, its `TRANSFER`: other data sets to measure on.
        limits: Sequence of strings, its `LIMITS`: sentences on what it is not for.
    """

    file: Path
    config: ConfigDict
    license: str
    transfer: Sequence[str]
    limits: Sequence[str]


def read(name: str) -> Recipe:
    """Reads the recipe of a model.

    Args:
        name: String, the name of a model.

    Returns:
        `Recipe`.

    Raises:
        UsageError: If it is no config file, or a constant is missing.
    """
    file = records.FOLDER / name / records.RECIPE
    config, values = config_lib.load(file), runpy.run_path(str(file))
    if missing := [constant for constant in _CONSTANTS if constant not in values]:
        raise UsageError(f"{file} lacks {missing[0]}: see the other recipes.")
    return Recipe(file, config, *(values[constant] for constant in _CONSTANTS))
