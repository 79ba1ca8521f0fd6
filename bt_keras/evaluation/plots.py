"""Plots of results, which need matplotlib."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path

from bt_keras.errors import UsageError
from bt_keras.evaluation.fine_tuning_summary import (
    is_fine_tuning,
    mean_and_deviation,
    summarize_fine_tuning,
)
from bt_keras.evaluation.results import Result
from bt_keras.files import atomic

_ADVICE = "give another path, or free space"


def check(path: str | os.PathLike) -> None:
    """Checks that a plot can be written.

    Args:
        path: String or path of a PNG file.

    Raises:
        UsageError: If it cannot.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise UsageError(f"--plot={path}: give a file name that ends in .png.")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "--plot needs matplotlib, which is not installed: "
            "pip install 'bt-keras[plot]'."
        )
    try:
        refused = path.is_dir() or not os.access(path.parent, os.W_OK)
    except OSError:  # A name that is too long.
        refused = True
    if refused:
        raise UsageError(f"--plot={path} cannot be written: {_ADVICE}.")


def label_shares(results: Iterable[Result], path: str | os.PathLike) -> None:
    """Plots accuracy over the share of the labels, one curve for each backbone.

    Args:
        results: `Result`s, of which those of the protocols `"semi"` and `"finetune"`
            are drawn.
        path: String or path of a PNG file.

    Raises:
        UsageError: If there are none, matplotlib is not installed or the file cannot be
            written.
    """
    check(path)
    summaries = summarize_fine_tuning(filter(is_fine_tuning, results))
    if not summaries:
        raise UsageError(f"--plot={path}: there are no results of semi or finetune.")
    # Figure instead of pyplot: no window is opened and no global state is left.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    curves = {}
    for summary in summaries:
        curves.setdefault(summary.backbone, []).append(summary)
    for name, points in curves.items():
        points = [point for point in points if point.accuracies["top1"]]
        if not points:
            continue
        shares = [100 * point.label_share for point in points]
        accuracies = [mean_and_deviation(point.accuracies["top1"]) for point in points]
        means, deviations = zip(*accuracies, strict=True)
        errors = [deviation or 0.0 for deviation in deviations]
        axes.errorbar(shares, means, errors, marker="o", capsize=4, label=name)
    ticks = sorted({100 * summary.label_share for summary in summaries})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{share:g}%" for share in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("share of the labels")
    seeds = max(len(summary.accuracies["top1"]) for summary in summaries)
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_title(f"Fine-tuning on {summaries[0].source} (seeds: {seeds})")
    axes.grid(alpha=0.3)
    axes.legend(title="backbone, mean ± standard deviation")
    with atomic.atomic_file(path, replace=True, advice=_ADVICE) as temporary:
        figure.savefig(temporary, dpi=150)
