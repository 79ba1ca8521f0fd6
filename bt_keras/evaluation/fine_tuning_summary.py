"""Summaries over seeds of networks that were trained on a share of the labels."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import LABEL_SHARE, TRAINING_SETTINGS

_METRICS = ("top1", "top5")


@dataclasses.dataclass(frozen=True)
class FineTuningSummary:
    """The results of training one network on one share of the labels.

    Args:
        label_share: Float in (0, 1].
        images: Integer, number of labeled images.
        steps: Integer, number of training steps.
        protocol: String, the name of the evaluator.
        subset: String, `"published"`, `"stratified"`, or `""` if it is not known.
        rates: String, `"grid"` if each training chose its learning rates, otherwise
            those of classifier and backbone, or `"paper"` if they are not known.
        backbone: String.
        epoch: String.
        source: String.
        n: Integer, number of test images.
        size: Integer, the side of the images in pixels if it is not that of the views,
            otherwise `None`.
        accuracies: Dict from `"top1"` and `"top5"` to a list of percentages, one for
            each seed.
    """

    label_share: float
    images: int
    steps: int
    protocol: str
    subset: str
    rates: str
    backbone: str
    epoch: str
    source: str
    n: int
    size: int | None
    accuracies: Mapping[str, Sequence[float]]


def is_fine_tuning(result: Result) -> bool:
    """Returns whether a result is an accuracy after training on a share of the labels.

    Args:
        result: `Result`.
    """
    return LABEL_SHARE in result.settings and result.metric in _METRICS


def summarize_fine_tuning(results: Iterable[Result]) -> list[FineTuningSummary]:
    """Groups the results of fine-tuning over their seeds.

    Args:
        results: `Result`s for which `is_fine_tuning` is true. A later one replaces an
            earlier one with the same seed.

    Returns:
        List of `FineTuningSummary`, sorted by the share of the labels.
    """
    groups: dict[tuple[Any, ...], dict[str, dict]] = {}
    for result in results:
        settings = result.settings
        key: tuple[Any, ...] = (
            *(settings[name] for name in TRAINING_SETTINGS),
            *(result.protocol, settings.get("subset", ""), _rates(settings)),
            *(result.backbone, result.epoch, result.source, result.n),
            settings.get("size"),
        )
        metrics = groups.setdefault(key, {name: {} for name in _METRICS})
        metrics[result.metric][result.seed] = 100 * result.value
    summaries = []
    for key, metrics in groups.items():
        values = {name: list(by_seed.values()) for name, by_seed in metrics.items()}
        summaries.append(FineTuningSummary(*(*key, values)))
    return sorted(summaries, key=lambda s: (s.label_share, s.backbone))


def _rates(settings):
    if settings.get("rates") == "grid":
        return "grid"
    names = ("head_learning_rate", "learning_rate")
    given = [f"{settings[name]:g}" for name in names if name in settings]
    return ", ".join(given) or "paper"


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Computes the mean and the standard deviation of a sample (with n - 1).

    Args:
        values: Sequence of floats.

    Returns:
        Tuple of two floats. The second is `None` for a single value.

    Example:

    >>> from bt_keras.evaluation.fine_tuning_summary import mean_and_deviation
    >>> mean_and_deviation([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return statistics.fmean(values), deviation
