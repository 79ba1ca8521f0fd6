"""A plot of a study beside the paper; needs matplotlib."""

from __future__ import annotations

import importlib.util
import os
import textwrap
from collections.abc import Sequence

from bt_keras.files import atomic
from bt_keras.studies.study import Study
from bt_keras.studies.summary import METRICS, Outcomes, Row, summarize

_ADVICE = "give another folder, or free space"
PAPER = "paper"
_TITLE_COLUMNS = 90


def is_available() -> bool:
    """Returns whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def differences(rows: Sequence[Row]) -> dict[str, list[tuple[int, float, float]]]:
    """Returns what is drawn: the differences from the baseline.

    Args:
        rows: Sequence of `Row`s.

    Returns:
        Dict from `"paper"` and the keys of `METRICS` to lists of tuples `(index of the
        row, difference, standard error or 0)`.
    """
    points: dict[str, list[tuple[int, float, float]]] = {
        name: [] for name in (PAPER, *METRICS)
    }
    for index, row in enumerate(rows):
        if row.paper_difference is not None:
            points[PAPER].append((index, row.paper_difference, 0.0))
        for metric, accuracy in row.accuracies.items():
            if accuracy.difference:
                error = accuracy.difference.error or 0.0
                points[metric].append((index, accuracy.difference.value, error))
    return points


def plot_study(
    study: Study, outcomes: Outcomes, scale: str, path: str | os.PathLike
) -> None:
    """Plots the differences of the variants from the baseline, ours and the paper's.

    Args:
        study: `Study`.
        outcomes: Dict, as for `bt_keras.studies.summary.summarize`.
        scale: String, one line: what the runs are.
        path: Path of the PNG file, which is replaced.

    Raises:
        UsageError: If the file cannot be written.
    """
    # Figure instead of pyplot: no window is opened and no global state is left.
    from matplotlib.figure import Figure

    rows = [row for row in summarize(study, outcomes) if row.variant != row.reference]
    points = differences(rows)
    figure = Figure(figsize=(7, 1.5 + 0.45 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, drawn) in enumerate(points.items()):
        if drawn:
            _draw(axes, name, drawn, 0.22 * (place - 1))
    axes.axvline(0.0, color="gray", linewidth=1)
    axes.set_yticks(range(len(rows)), [row.variant.name for row in rows])
    axes.invert_yaxis()
    references = {row.reference.name for row in rows}
    compared = "the baseline" if len(references) == 1 else "each variant's reference"
    axes.set_xlabel(f"top-1 minus that of {compared}, percentage points")
    lines = [study.title, *textwrap.wrap(scale, _TITLE_COLUMNS)]
    axes.set_title("\n".join(lines), fontsize="medium", parse_math=False)
    axes.grid(alpha=0.3)
    if any(points.values()):
        axes.legend(fontsize="small")
    with atomic.atomic_file(path, replace=True, advice=_ADVICE) as temporary:
        figure.savefig(temporary, dpi=120)


def _draw(axes, name, points, shift):
    """Draws one kind of differences, moved within the rows of the variants."""
    indices, values, errors = zip(*points, strict=True)
    heights = [index + shift for index in indices]
    if name == PAPER:
        axes.plot(values, heights, "kx", label="paper, linear")
        return
    bars = [2 * error for error in errors]
    label = f"ours, {name} (± 2 standard errors)"
    axes.errorbar(values, heights, xerr=bars, fmt="o", capsize=3, label=label)
