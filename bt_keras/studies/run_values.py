"""The numbers of a run: its last losses and the results of its evaluations."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.results import Result
from bt_keras.workdir import Workdir

_LOGGED = ("loss", "invariance", "redundancy", "val_loss")


def run_values(workdir: Workdir) -> dict[str, float]:
    """Reads the last losses of a run, and the results of its last checkpoint.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.

    Returns:
        Dict from names to floats: `"loss"` and the other terms of log.csv; `"knn top1"`
        and the like; `"labelfree rankme features"` and the like.

    Raises:
        UsageError: If results.csv cannot be read.
    """
    log = workdir.last_log()
    values = {name: log[name] for name in _LOGGED if name in log}
    return values | result_values(results_file.read(workdir.results_file))


def result_values(results: Iterable[Result]) -> dict[str, float]:
    """Names the results of the last checkpoint that was evaluated.

    Args:
        results: `Result`s, oldest first. A later one replaces an earlier one of the
            same kind; those of several seeds are averaged.

    Returns:
        Dict from names to floats.

    Example:

    >>> from bt_keras.evaluation.results import Result
    >>> from bt_keras.studies.run_values import result_values
    >>> knn = Result("knn", "top1", 0.5, 128, backbone="pretrained", epoch="4")
    >>> result_values([knn])
    {'knn top1': 0.5}
    """
    trained = [result for result in results if result.backbone == "pretrained"]
    newest = max(map(_epoch, trained), default=0)
    found: dict[str, dict[int | None, float]] = {}
    for result in trained:
        if _epoch(result) == newest:
            found.setdefault(_name(result), {})[result.seed] = result.value
    return {name: float(np.mean([*each.values()])) for name, each in found.items()}


def _epoch(result):
    try:
        return float(result.epoch)
    except ValueError:  # Of a module, which does not tell it.
        return 0.0


def _name(result):
    parts = [result.protocol, result.metric]
    if "label_share" in result.settings:
        parts.append(f"{100 * float(result.settings['label_share']):g}%")
    if "of" in result.settings:
        parts.append(str(result.settings["of"]))
    return " ".join(parts)
