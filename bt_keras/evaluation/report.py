"""Tables of results, and the summary of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from absl import logging

from bt_keras.errors import DAMAGE, one_line
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.fine_tuning_summary import (
    is_fine_tuning,
    mean_and_deviation,
    summarize_fine_tuning,
)
from bt_keras.evaluation.label_free_table import is_label_free, label_free_rows
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import Scalar
from bt_keras.files import reading
from bt_keras.workdir import Workdir

# Accuracies are printed in percent; tables always have their columns.
_ACCURACIES = {"top1": "top-1 %", "top5": "top-5 %"}
_COUNTS = ("epochs", "steps")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays out rows of text in aligned columns.

    Args:
        header: Sequence of strings.
        rows: Sequences of strings, as long as the header.

    Returns:
        String, one line for the header, one for a rule, and one for each row.

    Example:

    >>> from bt_keras.evaluation.report import table
    >>> print(table(("seed", "top-1 %"), [("0", "71.45")]))
    seed  top-1 %
    ----  -------
    0     71.45
    """
    rows = list(rows)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def results_table(results: Iterable[Result]) -> str:
    """Formats results, one line for each backbone and evaluator.

    Fine-tuning has a table of its own, with mean and standard deviation over the seeds,
    and scores without labels have one.

    Args:
        results: `Result`s. A later one replaces an earlier one of the same kind.

    Returns:
        String, one to three tables.

    Example:

    >>> from bt_keras.evaluation.report import results_table
    >>> from bt_keras.evaluation.results import Result
    >>> result = Result(
    ...     "knn", "top1", 0.5, n=128, settings={"k": 20}, backbone="pretrained",
    ...     epoch="4", source="shipped",
    ... )
    >>> print(results_table([result]))
    backbone    epoch  evaluator   source   top-1 %  top-5 %  test images
    ----------  -----  ----------  -------  -------  -------  -----------
    pretrained  4      knn (k=20)  shipped  50.00             128
    """
    results = list(results)
    tuned = [result for result in results if is_fine_tuning(result)]
    scored = [result for result in results if is_label_free(result)]
    special = (is_fine_tuning, is_label_free)
    others = [r for r in results if not any(kind(r) for kind in special)]
    tables = [_results_table(others)] if others or not (tuned or scored) else []
    if scored:
        tables.append(table(*label_free_rows(scored)))
    if tuned:
        tables.append(_fine_tuning_table(summarize_fine_tuning(tuned)))
    return "\n\n".join(tables)


def _results_table(results):
    metrics = list(dict.fromkeys((*_ACCURACIES, *(r.metric for r in results))))
    lines = {}
    for result in results:
        evaluator = result.protocol
        if result.settings:
            evaluator += f" ({settings_text(result.settings)})"
        key = (result.backbone, result.epoch, evaluator, result.source)
        line = lines.setdefault(key, {})
        line["n"] = str(result.n)
        line[result.metric] = (
            f"{100 * result.value:.2f}"
            if result.metric in _ACCURACIES
            else f"{result.value:.4g}"
        )
    columns = [_ACCURACIES.get(metric, metric) for metric in metrics]
    return table(
        ("backbone", "epoch", "evaluator", "source", *columns, "test images"),
        [
            (*key, *(line.get(metric, "") for metric in metrics), line["n"])
            for key, line in lines.items()
        ],
    )


def settings_text(settings: Mapping[str, Scalar]) -> str:
    """Formats the settings of a result.

    Args:
        settings: Dict from strings to scalars.

    Returns:
        String.

    Example:

    >>> from bt_keras.evaluation.report import settings_text
    >>> settings_text({"label_share": 0.1, "images": 51, "steps": 400})
    'labels=10%, images=51, 400 steps'
    """

    def text(name, value):
        if name == "label_share":
            return f"labels={100 * value:g}%"
        if name in _COUNTS:
            return f"{value} {name}"
        return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"

    return ", ".join(text(*item) for item in settings.items())


def _fine_tuning_table(summaries):
    def accuracy(values):
        if not values:
            return ""
        mean, deviation = mean_and_deviation(values)
        return f"{mean:.2f}" if deviation is None else f"{mean:.2f} ± {deviation:.2f}"

    header = ("labels", "labeled images", "backbone", "epoch", *_ACCURACIES.values())
    return table(
        (*header, "seeds", "trained for", "source", "test images"),
        [
            (
                f"{100 * summary.label_share:g}%",
                str(summary.images),
                summary.backbone,
                summary.epoch,
                *(accuracy(summary.accuracies[name]) for name in _ACCURACIES),
                str(max(map(len, summary.accuracies.values()))),
                f"{summary.steps} steps",
                summary.source,
                str(summary.n),
            )
            for summary in summaries
        ],
    )


def report(workdir: Workdir) -> str:
    """Summarizes a run: its results, its last losses, and the paths of its files.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.

    Returns:
        String.
    """
    lines = []
    log = workdir.last_log()
    for name in ("loss", "invariance", "redundancy"):
        if name in log:
            lines.append((f"{name}, epoch {int(log['epoch']) + 1}", f"{log[name]:.4g}"))
    lines += _export_lines(workdir.export_report)
    if workdir.sample_views.is_file():
        lines.append(("sample view pairs", str(workdir.sample_views)))
    results = results_table(results_file.read(workdir.results_file))
    return "\n".join([results, "", *(f"{name}:  {value}" for name, value in lines)])


def _export_lines(path):
    """Returns the lines about the exported module; none if its report is damaged."""
    if not os.path.lexists(path):
        return []
    try:
        export = reading.read_json_object(path)
        passed, checks = int(export["passed"]), int(export["checks"])
        module = str(export["module"])
    except (OSError, *DAMAGE) as error:
        logging.warning("%s is damaged (%s): left out.", path, one_line(error))
        return []
    return [
        ("SavedModel", module),
        (
            "checks of the SavedModel",
            f"{passed} of {checks} passed in a fresh process",
        ),
    ]
