"""The rows of a chart of one or several runs, few enough for a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from bt_keras.errors import UsageError
from bt_keras.report.contents import Contents

Runs = Contents | Sequence[Contents]
Value = TypeVar("Value")

# Points of a line: each takes about 80 bytes of a page.
POINTS = 400
# Values of a line on which the first ones matter most.
_RATIO_POINTS = 200


def rows_of_runs(
    contents: Runs, section: str, make: Callable[[Contents], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Returns the rows of all runs that have a section, each with its run's name.

    Args:
        contents: `Contents` of a run, or a sequence of those of several runs.
        section: String, a key of `SECTIONS`.
        make: Function from `Contents` with the section to its rows.

    Raises:
        UsageError: If no run has the section.
    """
    runs = [contents] if isinstance(contents, Contents) else list(contents)
    having = [run for run in runs if section not in run.gaps]
    if not having:
        runs[0].require(section)
        raise UsageError("no run is given.")
    return [{"run": run.name} | row for run in having for row in make(run)]


def are_of_several_runs(rows: Iterable[dict[str, Any]]) -> bool:
    """Returns whether rows have different entries `"run"`."""
    return len({row["run"] for row in rows}) > 1


def thinned(values: Iterable[Value], most: int = POINTS) -> list[Value]:
    """Returns some of the values, evenly spaced, if there are many.

    Args:
        values: Iterable of anything.
        most: Integer > 0, the most values to return. Defaults to `400`.

    Example:

    >>> from bt_keras.report.run_rows import thinned
    >>> thinned(range(100), most=4)
    [0, 33, 66, 99]
    """
    values = list(values)
    numbers = np.linspace(0, len(values) - 1, most).round().astype(int)
    return [values[number] for number in np.unique(numbers)]


def thinned_by_ratio(values: Sequence[Value]) -> list[tuple[int, Value]]:
    """Returns some of the values with their numbers, fewer of the high numbers.

    Args:
        values: Sequence of anything.

    Example:

    >>> from bt_keras.report.run_rows import thinned_by_ratio
    >>> thinned_by_ratio("abc")
    [(1, 'a'), (2, 'b'), (3, 'c')]
    """
    numbers = np.arange(1, len(values) + 1)
    if len(values) > _RATIO_POINTS:
        spaced = np.geomspace(1, len(values), _RATIO_POINTS)
        numbers = np.unique(spaced.round().astype(int))
    return [(int(number), values[number - 1]) for number in numbers]
