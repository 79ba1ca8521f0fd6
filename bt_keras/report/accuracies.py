"""Which of a run's results its page shows and compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bt_keras.evaluation.intervals import wilson
from bt_keras.evaluation.label_free_table import is_label_free
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import without_chosen_rates
from bt_keras.evaluation.tables import settings_text

# Evaluators that leave the network as it is: what they measure is that of the features.
_FROZEN = ("knn", "linear_cached", "linear")


def evaluator(result: Result) -> str:
    """Returns the name and the settings of a result's evaluator."""
    settings = settings_text(without_chosen_rates(result.settings))
    return f"{result.protocol}, {settings}" if settings else result.protocol


def is_accuracy_of_features(result: Result) -> bool:
    """Returns whether a result is a top-1 accuracy on features of a frozen network."""
    return result.metric == "top1" and result.protocol in _FROZEN


def is_rank_of_features(result: Result) -> bool:
    """Returns whether a result is the effective rank (RankMe) of features."""
    return (
        is_label_free(result)
        and result.metric == "rankme"
        and result.settings.get("of") == "features"
    )


def compared(results: Iterable[Result]) -> tuple[Result | None, Result | None]:
    """Finds the newest value, if possible with the same one of the untrained network.

    Args:
        results: `Result`s of one metric, oldest first.

    Returns:
        `(pretrained, untrained)`: `Result`s of the same evaluator, images and
        settings; the first is of the highest epoch. Either may be `None`.
    """
    results = list(results)
    trained = [result for result in results if result.backbone == "pretrained"]
    pretrained = _newest(_of_highest_epoch(trained))
    untrained = _newest(r for r in results if r.backbone == "untrained")
    both = [key for key in pretrained if key in untrained]
    for key in reversed(both or list(pretrained)):
        return pretrained[key], untrained.get(key)
    return None, None


def _newest(results):
    """Returns the newest result of each kind, the newest of all last."""
    found: dict[tuple, Result] = {}
    for result in results:
        settings = tuple(sorted(without_chosen_rates(result.settings).items()))
        key = (result.protocol, result.source, result.n, settings, result.seed)
        found.pop(key, None)
        found[key] = result
    return found


def _of_highest_epoch(results: Sequence[Result]) -> list[Result]:
    highest = max(map(_epoch, results), default=-1)
    return [result for result in results if _epoch(result) == highest]


def _epoch(result):
    """Returns the number of an epoch, -1 if it is unknown."""
    return int(result.epoch) if result.epoch.isdecimal() else -1


def accuracy_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Computes the lines of a chart: means over seeds, with their 95 % intervals.

    Args:
        results: `Result`s, oldest first. Of each evaluator, source and network, those
            of the highest epoch are taken, and the newest of each seed.

    Returns:
        List of dicts, in percent. Sources and epochs are named where they differ.
    """
    found: dict[tuple, list[Result]] = {}
    for result in results:
        if result.metric == "top1":
            key = (evaluator(result), result.source, result.backbone)
            found.setdefault(key, []).append(result)
    lines = {key: _of_highest_epoch(same) for key, same in found.items()}
    sources = {source for _, source, _ in lines}
    epochs: dict[str, set] = {}
    for (_, _, backbone), same in lines.items():
        epochs.setdefault(backbone, set()).add(same[0].epoch)
    rows = []
    for (name, source, network), same in lines.items():
        name = f"{name}, {source}" if len(sources) > 1 else name
        if len(epochs[network]) > 1:
            network = f"{network}, epoch {same[0].epoch}"
        rows.append({"evaluator": name, "network": network} | _mean(same))
    return rows


def _mean(results):
    """Returns the mean over seeds of a line's results."""
    seeds = {result.seed: result for result in results}  # The newest of each.
    newest = list(seeds.values())
    mean = float(np.mean([result.value for result in newest]))
    low, high = (100 * end for end in wilson(mean, newest[-1].n))
    interval = f"{low:.1f} to {high:.1f}"
    accuracy = round(100 * mean, 2)
    return {"accuracy": accuracy, "low": low, "high": high, "interval": interval}
