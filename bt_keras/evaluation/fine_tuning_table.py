"""Networks that were trained on a share of the labels, as lines of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bt_keras.evaluation.fine_tuning_summary import (
    FineTuningSummary,
    mean_and_deviation,
    summarize_fine_tuning,
)
from bt_keras.evaluation.intervals import percent_interval
from bt_keras.evaluation.results import Result

_HEADER = (
    *("labels", "labeled images", "backbone", "epoch", "top-1 %", "95 % interval"),
    *("top-5 %", "seeds", "trained for", "rates", "protocol", "source", "test images"),
)


def fine_tuning_rows(
    results: Iterable[Result],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Lays out accuracies, one line for each network and share of the labels.

    Args:
        results: `Result`s for which `is_fine_tuning` is true.

    Returns:
        `(header, rows)` of strings.

    Example:

    >>> from bt_keras.evaluation.fine_tuning_table import fine_tuning_rows
    >>> from bt_keras.evaluation.results import Result
    >>> settings = {"label_share": 0.1, "images": 51, "steps": 400}
    >>> results = [
    ...     Result("semi", "top1", value, 2000, settings, seed, "pretrained", "6", "x")
    ...     for seed, value in enumerate((0.50, 0.52))
    ... ]
    >>> fine_tuning_rows(results)[1][0][:6]
    ('10%', '51', 'pretrained', '6', '51.00 ± 1.41', '48.81 to 53.19')
    """
    return _HEADER, [
        (
            _labels(summary),
            str(summary.images),
            summary.backbone,
            summary.epoch,
            _accuracy(summary.accuracies["top1"]),
            _interval(summary.accuracies["top1"], summary.n),
            _accuracy(summary.accuracies["top5"]),
            str(max(map(len, summary.accuracies.values()))),
            f"{summary.steps} steps" + _pixels(summary),
            summary.rates,
            summary.protocol,
            summary.source,
            str(summary.n),
        )
        for summary in summarize_fine_tuning(results)
    ]


def _labels(summary: FineTuningSummary) -> str:
    share = f"{100 * summary.label_share:g}%"
    return f"{share} (published)" if summary.subset == "published" else share


def _pixels(summary: FineTuningSummary) -> str:
    return f" at {summary.size} pixels" if summary.size else ""


def _accuracy(percentages: Sequence[float]) -> str:
    if not percentages:
        return ""
    mean, deviation = mean_and_deviation(percentages)
    return f"{mean:.2f}" if deviation is None else f"{mean:.2f} ± {deviation:.2f}"


def _interval(percentages: Sequence[float], n: int) -> str:
    if not percentages:
        return ""
    return percent_interval(mean_and_deviation(percentages)[0] / 100, n)
