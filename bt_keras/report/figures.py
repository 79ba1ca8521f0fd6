"""Charts of one or several runs over epochs, evaluators and dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np

from bt_keras.errors import UsageError
from bt_keras.report.accuracies import accuracy_rows
from bt_keras.report.contents import Contents

# Pixels of a chart; the page stretches those of `_WIDTH`.
_WIDTH, _HEIGHT, _LINE = 300, 180, 22
_RUN_COLOR = alt.Color("run:N", title=None, legend=alt.Legend(orient="top"))
_POWERS = alt.Axis(format=".0e", tickCount=4)
# Ticks of the epochs, at most.
_TICKS = 8
# Points of a line, and of all curves: each takes about 80 bytes of a page.
_POINTS, _ALL_POINTS = 400, 16_000
# Singular values of a network.
_VALUES = 200
# Singular values below this share of the largest are rounding errors.
_SMALLEST = 1e-7

Runs = Contents | Sequence[Contents]


def curves(contents: Runs) -> alt.ConcatChart:
    """Draws every metric of the log over the epochs.

    Args:
        contents: `Contents` of a run, see `bt_keras.report.read`, or a list of those
            of several runs.

    Returns:
        `altair.ConcatChart`.

    Raises:
        UsageError: If no epoch is finished.
    """
    return alt.concat(*curve_panels(contents), columns=3)


def curve_panels(contents: Runs) -> list[alt.Chart]:
    """Draws a chart for every metric; arguments as for `curves`."""
    rows = _rows(
        contents,
        "curves",
        lambda run: [
            {"metric": p.metric, "epoch": p.epoch, "value": p.value}
            | ({"images": p.images} if p.images else {})
            for p in run.require("curves")
        ],
    )
    lines = len({(row["run"], row["metric"], row.get("images")) for row in rows})
    points = min(_POINTS, _ALL_POINTS // lines) if lines else _POINTS
    shown = set(_thinned(sorted({row["epoch"] for row in rows}), points))
    rows = [row for row in rows if row["epoch"] in shown]
    several = len({row["run"] for row in rows}) > 1
    # The loss, which is the sum of the others, is the first.
    metrics = sorted({row["metric"] for row in rows}, key=lambda m: (m != "loss", m))
    values = ([row for row in rows if row["metric"] == metric] for metric in metrics)
    return [
        _curve(metric, of_metric, several)
        for metric, of_metric in zip(metrics, values, strict=True)
    ]


def _curve(metric, rows, several):
    images = {row["images"] for row in rows if "images" in row}
    value = alt.Tooltip("value:Q", format=".5")
    encodings = {
        "x": _epochs(rows),
        "y": alt.Y("value:Q", title=None).scale(zero=False),
        "tooltip": ["run:N", *(["images:N"] if images else []), "epoch:Q", value],
    }
    if several:
        encodings["color"] = _RUN_COLOR
    if len(images) > 1:
        legend = alt.Legend(orient="top", symbolType="stroke", symbolStrokeColor="gray")
        dashes = alt.StrokeDash("images:N", title=None, legend=legend)
        encodings["strokeDash"] = dashes.scale(domain=["training", "held out"])
    chart = alt.Chart(alt.Data(values=rows), title=metric.replace("_", " "))
    return _sized(chart.mark_line(point={"size": 30}).encode(**encodings))


def accuracy(contents: Runs) -> alt.LayerChart:
    """Draws the measured top-1 accuracies with their 95 % intervals.

    Args:
        contents: As for `curves`.

    Returns:
        `altair.LayerChart`.

    Raises:
        UsageError: If no accuracy is measured.
    """
    rows = _rows(contents, "results", _accuracies)
    if not rows:
        raise UsageError("no top-1 accuracy is measured: see `bt-keras evaluate`.")
    several = len({row["run"] for row in rows}) > 1
    chart = alt.Chart(alt.Data(values=rows))
    y = alt.Y("evaluator:N", title=None, axis=alt.Axis(labelLimit=150))
    offset = alt.YOffset("network:N", sort=None)
    color = alt.Color("network:N", title=None, sort=None, legend=_top_legend())
    if several:
        offset = alt.YOffset("both:N", sort=None)
        color = alt.Color("both:N", title=None, sort=None, legend=_top_legend())
    tooltip = ["run:N", "network:N", "evaluator:N", "accuracy:Q", "interval:N"]
    base = chart.encode(y=y, yOffset=offset, color=color, tooltip=tooltip)
    x = alt.X("accuracy:Q", title="top-1 accuracy, %").scale(zero=False)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=x)
    # The title is that of the points.
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q")
    lines = {(row["evaluator"], row["both"]) for row in rows}
    height = _LINE * (1 + len(lines))
    return alt.layer(bars, points).properties(width=_WIDTH, height=height)


def _accuracies(run):
    rows = accuracy_rows(run.require("results"))
    return [row | {"both": f"{run.name}, {row['network']}"} for row in rows]


def spectra(contents: Runs) -> alt.Chart:
    """Draws the singular values of the features, the largest first.

    Args:
        contents: As for `curves`.

    Returns:
        `altair.Chart`.

    Raises:
        UsageError: If the features are missing.
    """
    rows = _rows(contents, "spectra", _singular_values)
    several = len({row["run"] for row in rows}) > 1
    field = "both" if several else "network"
    chart = alt.Chart(alt.Data(values=rows)).mark_line(point={"size": 12})
    chart = chart.encode(
        x=alt.X("number:Q", title="number of the singular value"),
        y=alt.Y("share:Q", title="share of the largest", axis=_POWERS).scale(
            type="log"
        ),
        color=alt.Color(f"{field}:N", title=None, sort=None, legend=_top_legend()),
        tooltip=["both:N", "number:Q", alt.Tooltip("share:Q", format=".3")],
    )
    return _sized(chart)


def _singular_values(run):
    rows = []
    for spectrum in run.require("spectra"):
        name = f"{spectrum.network}: effective rank {spectrum.rank:.1f}"
        largest = spectrum.values[0]
        rows += [
            {
                "network": name,
                "both": f"{run.name}, {name}",
                "number": number,
                "share": float(f"{value / largest:.3g}"),
            }
            for number, value in _thinned_by_ratio(spectrum.values)
            if value > _SMALLEST * largest
        ]
    return rows


def throughput(contents: Runs) -> alt.Chart:
    """Draws the images per second of every epoch.

    Args:
        contents: As for `curves`.

    Returns:
        `altair.Chart`.

    Raises:
        UsageError: If the TensorBoard log is missing.
    """
    rows = _rows(
        contents,
        "throughput",
        lambda run: [
            {"epoch": epoch, "images per second": round(speed, 1)}
            for epoch, speed in _thinned(run.require("throughput").items())
        ],
    )
    encodings = {
        "x": _epochs(rows),
        "y": alt.Y("images per second:Q"),
        "tooltip": ["run:N", "epoch:Q", "images per second:Q"],
    }
    if len({row["run"] for row in rows}) > 1:
        encodings["color"] = _RUN_COLOR
    chart = alt.Chart(alt.Data(values=rows)).mark_line(point={"size": 30})
    return _sized(chart.encode(**encodings))


def _epochs(rows):
    """Returns the axis of the epochs, whose ticks are whole numbers."""
    ends = min(row["epoch"] for row in rows), max(row["epoch"] for row in rows)
    ticks = np.unique(np.linspace(*ends, _TICKS).round().astype(int))
    axis = alt.Axis(values=ticks.tolist(), format="d")
    return alt.X("epoch:Q", axis=axis).scale(nice=False)


def _top_legend():
    return alt.Legend(orient="top", direction="vertical", labelLimit=280)


def _thinned(values, most=_POINTS):
    """Returns some of the values, evenly spaced, if there are many."""
    values = list(values)
    numbers = np.linspace(0, len(values) - 1, most).round().astype(int)
    return [values[number] for number in np.unique(numbers)]


def _thinned_by_ratio(values):
    """Returns some of the values with their numbers, fewer of the high numbers."""
    numbers = np.arange(1, len(values) + 1)
    if len(values) > _VALUES:
        numbers = np.unique(np.geomspace(1, len(values), _VALUES).round().astype(int))
    return [(int(number), values[number - 1]) for number in numbers]


def _sized(chart, height=_HEIGHT):
    return chart.properties(width=_WIDTH, height=height)


def _rows(contents, section, make):
    """Returns the rows of all runs that have the section, each with its run's name."""
    runs = [contents] if isinstance(contents, Contents) else list(contents)
    having = [run for run in runs if section not in run.gaps]
    if not having:
        runs[0].require(section)
        raise UsageError("no run is given.")
    return [{"run": run.name} | row for run in having for row in make(run)]
