"""The numbers of a run: its last losses and the results of its evaluations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import PurePath

import numpy as np

from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import without_chosen_rates
from bt_keras.workdir import Workdir

# Terms of Barlow Twins' loss.
_TERMS = ("loss", "invariance", "redundancy")
# Settings of results that are in their names, and those in which runs may differ.
_NAMED = ("label_share", "of")
_OWN = ("batch", "width", "size")


@dataclasses.dataclass(frozen=True)
class Measured:
    """A result of the last checkpoint that was evaluated.

    Args:
        value: Float, the mean over seeds.
        epoch: Float, the number of epochs of that checkpoint.
        kind: Tuple, what must be equal for values to be comparable: the name of the
            images, their number, and the settings in which runs may not differ.
        size: Integer, the side of the images in pixels, or `None` if it is that of the
            views.
    """

    value: float
    epoch: float
    kind: tuple
    size: int | None


def run_values(workdir: Workdir, log_names: Sequence[str] = _TERMS) -> dict[str, float]:
    """Reads the last losses of a run, and the results of its last checkpoint.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.
        log_names: Sequence of strings, the terms of the loss, `log_names` of the
            method's class. Defaults to those of Barlow Twins.

    Returns:
        Dict from names to floats: the terms that log.csv has, and `"val_loss"`; `"knn
        top1"` and the like; `"labelfree rankme features"` and the like.

    Raises:
        UsageError: If results.csv cannot be read.
    """
    log = workdir.last_log()
    names = (*log_names, "val_loss")
    values = {name: log[name] for name in names if name in log}
    return values | result_values(results_file.read(workdir.results_file))


def result_values(results: Iterable[Result]) -> dict[str, float]:
    """Returns the values of `newest_results`."""
    return {name: each.value for name, each in newest_results(results).items()}


def newest_results(results: Iterable[Result]) -> dict[str, Measured]:
    """Names the results of the last checkpoint that was evaluated.

    Args:
        results: `Result`s, oldest first. A later one replaces an earlier one, and all
            that were measured on other images or with other settings; those of several
            seeds are averaged.

    Returns:
        Dict from names to `Measured`.

    Example:

    >>> from bt_keras.evaluation.results import Result
    >>> from bt_keras.studies.run_values import newest_results
    >>> knn = Result("knn", "top1", 0.5, 128, backbone="pretrained", epoch="4")
    >>> newest_results([knn])["knn top1"].value
    0.5
    """
    trained = [result for result in results if result.backbone == "pretrained"]
    newest = max(map(_epoch, trained), default=0.0)
    found: dict[str, list[Result]] = {}
    for result in trained:
        if _epoch(result) == newest:
            same = found.setdefault(_name(result), [])
            if same and _settings(same[-1]) != _settings(result):
                same.clear()
            same.append(result)
    return {name: _measured(same, newest) for name, same in found.items()}


def _measured(same, epoch):
    by_seed = {result.seed: result.value for result in same}
    mean, last = float(np.mean([*by_seed.values()])), same[-1]
    return Measured(mean, epoch, _kind(last), last.settings.get("size"))


def _settings(result):
    """Returns what seeds of one run must have in common."""
    return _kind(result), result.settings.get("size")


def _kind(result):
    ignored = (*_NAMED, *_OWN)
    identifying = without_chosen_rates(result.settings)  # Each seed chooses its own.
    settings = {k: v for k, v in identifying.items() if k not in ignored}
    # Whole batches of the run's own size are counted.
    count = None if "batch" in result.settings else result.n
    # The path of the same folder may differ.
    return PurePath(result.source).name, count, *sorted(settings.items())


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
