"""One self-contained HTML file about one or several runs."""

from __future__ import annotations

import dataclasses
import functools
import html
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import vl_convert

import bt_keras
from bt_keras.errors import UsageError
from bt_keras.evaluation.tables import results_table
from bt_keras.files import atomic
from bt_keras.report import feature_figures, figures, pictures
from bt_keras.report.contents import OF_ALL_RUNS, SECTIONS, Contents
from bt_keras.report.verdicts import verdict

_TEMPLATE = "page.html.jinja"
_ADVICE = "give another path, or free space"
_FRAME = (
    '<iframe srcdoc="{}" style="width:100%;height:640px;border:1px solid #8884" '
    'title="bt_keras report"></iframe>'
)
# Charts as wide as the page.
_FIT = {"autosize": {"type": "fit-x", "contains": "padding"}, "width": "container"}


class Page:
    """An HTML page, which a notebook displays.

    Attributes:
        html: String, the whole page.
    """

    def __init__(self, html: str):
        self.html = html

    def _repr_html_(self) -> str:
        return _FRAME.format(html.escape(self.html))

    def save(self, path: str | os.PathLike) -> None:
        """Writes the page; an existing file is replaced.

        Args:
            path: String or path of the file.

        Raises:
            UsageError: If it cannot be written.
        """
        with atomic.atomic_file(path, replace=True, advice=_ADVICE) as temporary:
            temporary.write_text(self.html, encoding="utf-8", newline="\n")


def render(runs: Sequence[Contents]) -> Page:
    """Makes a page from contents that were read before.

    Args:
        runs: Sequence of `Contents`, see `bt_keras.report.read`. Images are those of
            the first.

    Returns:
        `Page`.
    """
    runs = _with_different_names(runs)
    main = runs[0]
    specs: dict[str, Any] = {}
    names = {
        section: _add(specs, section, make) for section, make in _charts(runs).items()
    }
    template = pictures.environment().get_template(_TEMPLATE)
    text = template.render(
        version=bt_keras.__version__,
        runs=runs,
        main=main,
        titles=SECTIONS,
        of_all_runs=OF_ALL_RUNS,
        verdicts=[(run.name, *verdict(run)) for run in runs],
        charts=names,
        specs=specs,
        library=_library(),
        views=_or_empty(pictures.view_pairs, main),
        neighbors=_or_empty(pictures.neighbors, main),
        changed={field: v for field, v in main.recipe.items() if v[0] != v[1]},
        differences=_differences(runs),
        tables=[(r.name, results_table(r.results)) for r in runs if r.results],
    )
    return Page(text)


def _with_different_names(runs):
    count = Counter(run.name for run in runs)
    return [
        run if count[run.name] == 1 else dataclasses.replace(run, name=run.path)
        for run in runs
    ]


def _charts(runs) -> dict[str, Callable[[], list]]:
    main = runs[0]
    return {
        "curves": lambda: list(map(_fitted, figures.curve_panels(runs))),
        "results": lambda: [_fitted(figures.accuracy(runs))],
        "correlations": lambda: list(
            map(feature_figures.correlation_panel, main.require("correlations"))
        ),
        "spectra": lambda: [_fitted(figures.spectra(runs))],
        "feature_map": lambda: [_fitted(feature_figures.feature_map(main))],
        "confusion": lambda: [feature_figures.confusion(main)],
        "throughput": lambda: [_fitted(figures.throughput(runs))],
    }


def _fitted(chart):
    return chart.properties(**_FIT)


def _add(specs, section, make):
    """Adds the charts of a section to the page's; returns their names."""
    try:
        charts = make()
    except UsageError:  # The section is missing; its gap says why.
        return []
    names = [f"{section}-{number}" for number in range(len(charts))]
    found = (_without_nan(chart.to_dict()) for chart in charts)
    specs.update(zip(names, found, strict=True))
    return names


def _without_nan(value):
    """Replaces numbers that JSON does not have, as after an overflow, by null."""
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _or_empty(make, contents):
    try:
        return make(contents)
    except UsageError:
        return ""


def _differences(runs):
    """Returns `(field, values)` of the fields in which recipes differ."""
    fields = dict.fromkeys(field for run in runs for field in run.recipe)
    values = {
        field: [run.recipe.get(field, ("(none)", None))[0] for run in runs]
        for field in fields
    }
    return [
        (field, found)
        for field, found in values.items()
        if any(value != found[0] for value in found)
    ]


@functools.cache
def _library() -> str:
    """Returns Vega, Vega-Lite and Vega-Embed as JavaScript for a script element."""
    version = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    code = vl_convert.javascript_bundle(None, version)
    return code.replace("</script", r"<\/script").replace("<!--", r"<\!--")
