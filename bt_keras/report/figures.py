"""Charts of one or several runs over epochs, evaluators and dimensions."""

from __future__ import annotations

import altair as alt
import numpy as np

from bt_keras.errors import UsageError
from bt_keras.report.accuracies import accuracy_rows
from bt_keras.report.run_rows import (
    POINTS,
    Runs,
    are_of_several_runs,
    rows_of_runs,
    thinned,
    thinned_by_ratio,
)

# Pixels of a chart; the page stretches those of `_WIDTH`.
_WIDTH, _HEIGHT, _LINE = 300, 180, 22
_RUN_COLOR = alt.Color("run:N", title=None, legend=alt.Legend(orient="top"))
_POWERS = alt.Axis(format=".0e", tickCount=4)
# Ticks of the epochs, at most.
_TICKS = 8
# Points of all curves on a page.
_ALL_POINTS = 16_000
# Singular values below this share of the largest are rounding errors.
_SMALLEST = 1e-7


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
    rows = rows_of_runs(
        contents,
        "curves",
        lambda run: [
            {"metric": p.metric, "epoch": p.epoch, "value": p.value}
            | ({"images": p.images} if p.images else {})
            for p in run.require("curves")
        ],
    )
    lines = len({(row["run"], row["metric"], row.get("images")) for row in rows})
    points = min(POINTS, _ALL_POINTS // lines) if lines else POINTS
    shown = set(thinned(sorted({row["epoch"] for row in rows}), points))
    rows = [row for row in rows if row["epoch"] in shown]
    several = are_of_several_runs(rows)
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
    rows = rows_of_runs(contents, "results", _accuracies)
    if not rows:
        raise UsageError("no top-1 accuracy is measured: see `bt-keras evaluate`.")
    several = are_of_several_runs(rows)
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
    rows = rows_of_runs(contents, "spectra", _singular_values)
    several = are_of_several_runs(rows)
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
            for number, value in thinned_by_ratio(spectrum.values)
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
    rows = rows_of_runs(
        contents,
        "throughput",
        lambda run: [
            {"epoch": epoch, "images per second": round(speed, 1)}
            for epoch, speed in thinned(run.require("throughput").items())
        ],
    )
    encodings = {
        "x": _epochs(rows),
        "y": alt.Y("images per second:Q"),
        "tooltip": ["run:N", "epoch:Q", "images per second:Q"],
    }
    if are_of_several_runs(rows):
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


def _sized(chart):
    return chart.properties(width=_WIDTH, height=_HEIGHT)
