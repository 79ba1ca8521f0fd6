"""The summary of a run in the terminal."""

from __future__ import annotations

import math
import os

from absl import logging

from bt_keras.errors import DAMAGE, one_line
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.tables import results_table
from bt_keras.files import reading
from bt_keras.workdir import Workdir


def report(workdir: Workdir) -> str:
    """Summarizes a run: its results, what it logged last, and the paths of its files.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.

    Returns:
        String.
    """
    lines = _log_lines(workdir.last_log())
    lines += _export_lines(workdir.export_report)
    if workdir.sample_views.is_file():
        lines.append(("sample view pairs", str(workdir.sample_views)))
    results = results_table(results_file.read(workdir.results_file))
    return "\n".join([results, "", *(f"{name}:  {value}" for name, value in lines)])


def _log_lines(log):
    """Returns a line for each number of an epoch; methods log different ones.

    Numbers that are not measured after each epoch, such as knn_top1, may be NaN.
    """
    return [
        (f"{name}, epoch {int(log['epoch']) + 1}", f"{value:.4g}")
        for name, value in log.items()
        if name != "epoch" and (name.endswith("loss") or not math.isnan(value))
    ]


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
