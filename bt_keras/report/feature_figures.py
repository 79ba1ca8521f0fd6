"""Charts of the features and embeddings of one run."""

from __future__ import annotations

import altair as alt
import numpy as np

from bt_keras.report.contents import Contents, Correlation

# Pixels.
_MATRIX = 280
_MAP = 400
_CELL = 30
# Up to this many classes, the numbers of images are written into the cells.
_NUMBERED = 12
_NO_LABELS = alt.Axis(labels=False, ticks=False, grid=False)


def correlation(contents: Contents) -> alt.HConcatChart:
    """Draws the cross-correlation matrix C before training and after it.

    Args:
        contents: `Contents`, see `bt_keras.report.read`.

    Returns:
        `altair.HConcatChart`.

    Raises:
        UsageError: If the network or the images are missing.
    """
    return alt.hconcat(*map(correlation_panel, contents.require("correlations")))


def correlation_panel(found: Correlation) -> alt.Chart:
    """Draws one `Correlation`."""
    side = len(found.block)
    title = alt.TitleParams(
        found.network,
        subtitle=f"diagonal {found.diagonal:.2f}, others {found.off_diagonal:.3f} RMS",
    )
    # Numbers without names are smaller: `data` is the value.
    values = [round(float(value), 2) for value in found.block.ravel()]
    chart = _plane(
        values,
        alt.X("j:O", title="dimension of view B", axis=_NO_LABELS),
        alt.Y("i:O", title="dimension of view A", axis=_NO_LABELS),
        ["i:Q", "j:Q", alt.Tooltip("data:Q", title="C")],
    )
    chart = chart.transform_window(number="row_number()")
    chart = chart.transform_calculate(
        i=f"floor((datum.number - 1) / {side})", j=f"(datum.number - 1) % {side}"
    )
    scale = alt.Scale(domain=[-1, 1], scheme="redblue")
    color = alt.Color("data:Q", title="C", scale=scale)
    chart = chart.mark_rect().encode(color=color)
    return chart.properties(title=title, width=_MATRIX, height=_MATRIX)


def feature_map(contents: Contents) -> alt.Chart:
    """Draws the features in two dimensions; a pointed image is shown.

    Args:
        contents: `Contents`, see `bt_keras.report.read`.

    Returns:
        `altair.Chart`.

    Raises:
        UsageError: If the features are missing.
    """
    found = contents.require("feature_map")
    rows = [
        {
            "x": float(f"{x:.4g}"),
            "y": float(f"{y:.4g}"),
            "class": picture.label,
            "image": picture.uri,
        }
        for (x, y), picture in zip(found.points, found.pictures, strict=True)
    ]
    chart = _plane(
        rows,
        alt.X("x:Q", title=None, axis=_NO_LABELS).scale(zero=False),
        alt.Y("y:Q", title=None, axis=_NO_LABELS).scale(zero=False),
        [alt.Tooltip("class:N", title="title"), "image:N"],
    )
    if any(picture.label for picture in found.pictures):
        legend = alt.Legend(orient="bottom", columns=3, labelLimit=90)
        chart = chart.encode(color=alt.Color("class:N", title=None, legend=legend))
    chart = chart.mark_circle(size=50, opacity=0.8)
    return chart.properties(width=_MAP, height=_MAP)


def confusion(contents: Contents) -> alt.LayerChart:
    """Draws what kNN takes the test images of each class for.

    Args:
        contents: `Contents`, see `bt_keras.report.read`.

    Returns:
        `altair.LayerChart`.

    Raises:
        UsageError: If the features or the labels are missing.
    """
    found = contents.require("confusion")
    totals = np.maximum(1, found.counts.sum(axis=1))
    rows = [
        {
            "class": found.classes[i],
            "taken for": found.classes[j],
            "images": int(count),
            "share": round(float(count / totals[i]), 3),
        }
        for (i, j), count in np.ndenumerate(found.counts)
    ]
    chart = _plane(
        rows,
        alt.X("taken for:N", sort=None, axis=alt.Axis(labelAngle=-45, labelLimit=90)),
        alt.Y("class:N", sort=None, axis=alt.Axis(labelLimit=90)),
        ["class:N", "taken for:N", "images:Q", "share:Q"],
    )
    scale = alt.Scale(domain=[0, 1], scheme="blues")
    color = alt.Color("share:Q", scale=scale, legend=None)
    layers = [chart.mark_rect().encode(color=color)]
    if len(found.classes) <= _NUMBERED:
        white = alt.condition(
            "datum.share > 0.5", alt.value("white"), alt.value("black")
        )
        text = chart.transform_filter("datum.images > 0").mark_text(fontSize=9)
        layers.append(text.encode(text="images:Q", color=white))
    side = alt.Step(_CELL)
    return alt.layer(*layers).properties(width=side, height=side)


def _plane(values, x, y, tooltip):
    """Returns a chart of values in two dimensions, without marks and colors."""
    return alt.Chart(alt.Data(values=values)).encode(x=x, y=y, tooltip=tooltip)
