"""Plots, for which matplotlib must be installed."""

import importlib.util
import os
from pathlib import Path

from bt_keras.errors import UsageError
from bt_keras.evaluation import report


def check(path):
    """Raises `UsageError` if no plot could be written to this path.

    Args:
        path: str or path.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise UsageError(f"--plot={path}: give the name of a .png file.")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "--plot needs matplotlib, which is not installed: "
            "pip install 'bt-keras[plot]'."
        )
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"--plot={path} cannot be written: take another path.")


def label_shares(rows, path):
    """Draws accuracy over the share of the labels, one curve a backbone.

    Args:
        rows: sequence of dicts of `bt_keras.workdir.RESULT_FIELDS`, of the evaluator
            `"finetune"`.
        path: str or path of a PNG file.

    Raises:
        UsageError: if matplotlib is not installed or the file cannot be written.
    """
    check(path)
    # Not pyplot: there is no window to open, and nothing global to close.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    curves = {}
    summaries = report.fine_tuning(rows)
    for summary in summaries:
        curves.setdefault(summary["backbone"], []).append(summary)
    for name, points in curves.items():
        shares = [point["share"] for point in points]
        accuracies = [report.mean_and_deviation(point["top1"]) for point in points]
        means, deviations = zip(*accuracies, strict=True)
        errors = [deviation or 0.0 for deviation in deviations]
        axes.errorbar(shares, means, errors, marker="o", capsize=4, label=name)
    ticks = sorted({summary["share"] for summary in summaries})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{share:g}%" for share in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("share of the labels")
    seeds = max(len(summary["top1"]) for summary in summaries)
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_title(f"Fine-tuning on {summaries[0]['source']} (seeds: {seeds})")
    axes.grid(alpha=0.3)
    axes.legend(title="backbone, mean ± standard deviation")
    figure.savefig(path, dpi=150)
