"""The flags of `bt-keras evaluate` that belong to evaluators."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

from absl import flags as absl_flags

from bt_keras.errors import UsageError
from bt_keras.evaluation.evaluator import ALL, PROTOCOLS

_TRAINING = ("semi", "finetune")
# From each flag to the evaluators that it is for. Other flags are for all of them.
_EVALUATORS = {
    "k": ("knn",),
    "temperature": ("knn",),
    "strategy": ("knn", "retrieval", "linear_cached", "multilabel", "labelfree"),
    "epochs": ("transfer",),
    "labels": ("semi",),
    "seeds": _TRAINING,
    "rates": (*_TRAINING, "linear_cached"),
    "plot": _TRAINING,
}
# From the other flags to the argument of the evaluators that they replace.
_ARGUMENTS = {
    "k": "k",
    "temperature": "temperature",
    "epochs": "epochs",
    "labels": "shares",
    "seeds": "seeds",
    "rates": "rates",
}
_PERCENTAGE = re.compile(r"(\d+(\.\d+)?)%")


def define(values: absl_flags.FlagValues) -> None:
    """Adds the flags to those of the command."""
    integer = functools.partial(absl_flags.DEFINE_integer, flag_values=values)
    text = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    config = "Defaults to that in the run's config."
    integer("k", None, f"Number of neighbors that vote in kNN. {config}")
    absl_flags.DEFINE_float(
        "temperature",
        None,
        f"Temperature of the kNN vote. {config}",
        None,
        None,
        values,
    )
    integer(
        "epochs",
        None,
        "Epochs of transfer: the paper has 14 for Places205 and 84 for iNaturalist "
        f"2018. {config}",
        1,
    )
    text(
        "labels",
        None,
        "Shares of the labels to train on with --protocol=semi, such as 1%,10%. Each "
        f"class contributes its share. {config}",
    )
    integer(
        "seeds",
        None,
        "Number of seeds of semi and finetune; each seed draws other images and "
        f"weights. {config}",
        1,
    )
    absl_flags.DEFINE_enum(
        "rates",
        None,
        ["paper", "grid"],
        f"Learning rates of semi, finetune and linear_cached. {config}\n"
        "paper: those of the config, the paper's unless it was changed.\n"
        "grid: the best ones of the config's grid, chosen on held-out training images.",
        flag_values=values,
    )
    text(
        "plot",
        None,
        "PNG file to write a plot of accuracy over the share of the labels to. For "
        "semi and finetune; needs matplotlib.",
    )


def check(values: absl_flags.FlagValues, evaluators: Iterable[str]) -> None:
    """Checks that every flag that is given belongs to one of the evaluators.

    Args:
        values: The command's parsed flags.
        evaluators: Names of the evaluators that will run.

    Raises:
        UsageError: If one does not.
    """
    for name, owners in _EVALUATORS.items():
        if values[name].present and not set(owners) & set(evaluators):
            protocols = [
                protocol
                for protocol, names in PROTOCOLS.items()
                if set(names) & set(owners) and protocol != ALL
            ]
            raise UsageError(
                f"--{name} requires --protocol={' or '.join(protocols)}: leave it out, "
                "or change the protocol."
            )


def overrides(values: absl_flags.FlagValues) -> dict[str, dict[str, Any]]:
    """Returns the evaluators' arguments that replace those of the config.

    Args:
        values: The command's parsed flags.

    Raises:
        UsageError: If `--labels` are not percentages.
    """
    replaced: dict[str, dict[str, Any]] = {}
    for name, argument in _ARGUMENTS.items():
        value = values[name].value
        if value is None:
            continue
        for evaluator in _EVALUATORS[name]:
            given = shares(value) if name == "labels" else value
            replaced.setdefault(evaluator, {})[argument] = given
    return replaced


def shares(text: str) -> tuple[float, ...]:
    """Parses percentages.

    Args:
        text: String, percentages separated by commas.

    Returns:
        Tuple of floats in (0, 1).

    Raises:
        UsageError: If a part is not a percentage below 100 or occurs twice.

    Example:

    >>> from bt_keras.cli.evaluator_flags import shares
    >>> shares("1%,10%")
    (0.01, 0.1)
    """
    parsed = []
    for part in text.split(","):
        match = _PERCENTAGE.fullmatch(part.strip())
        share = float(match[1]) / 100 if match else 0.0
        if share == 1:
            raise UsageError(
                f"--labels={text}: leave out {part.strip()}, and add finetune, which "
                "trains on all labels: --protocol=semi,finetune."
            )
        if not 0 < share < 1:
            raise UsageError(
                f"--labels={text}: {part.strip()!r} is not a percentage above 0% and "
                "below 100%; separate percentages by commas, such as 1%,10%."
            )
        if share in parsed:
            raise UsageError(f"--labels={text} has {part.strip()} twice; remove one.")
        parsed.append(share)
    return tuple(parsed)
