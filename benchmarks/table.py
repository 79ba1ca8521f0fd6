"""Prints Markdown tables."""

import dataclasses
import statistics
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit of time: its name, and a function from seconds to a number."""

    name: str
    of: Callable


SECONDS = Unit("s", lambda seconds: seconds)
MILLISECONDS = Unit("ms", lambda seconds: 1e3 * seconds)
PAIRS = Unit("pairs/s", lambda seconds: 1 / seconds)


def header(*notes, ratio="time / our time"):
    """Prints the header of a table.

    Args:
        notes: Strings, names of additional last columns.
        ratio: String, name of the column with the ratio to the first side. Defaults to
            `"time / our time"`.
    """
    columns = ["case", "side", "median", "min - max", "rounds"]
    columns += [ratio, "peak memory", *notes]
    line(columns)
    line(["---"] * len(columns))


def rows(case, results, unit, *notes):
    """Prints a row for each result of a case.

    Args:
        case: String, name of the case.
        results: List of `turns.Result`. Ratios are relative to the first one.
        unit: `Unit`.
        notes: Functions from a result to str, the additional columns.
    """
    ours = statistics.median(results[0].seconds) if results[0].seconds else None
    for result in results:
        if result.failure or not result.seconds:
            cells = [f"did not run: {result.failure}", "", "", "", ""]
        else:
            ratio = statistics.median(result.seconds) / ours if ours else None
            cells = [*_times(result.seconds, unit), _ratio(ratio), size(result.peak)]
        last = [note(result) if result.seconds else "" for note in notes]
        line([case, result.name, *cells, *last])


def line(cells):
    """Prints a line of a table."""
    clean = (str(cell).replace("|", "/") for cell in cells)
    print(f"| {' | '.join(clean)} |", flush=True)


def size(count):
    """Formats a number of bytes in GB (10^9)."""
    return f"{number(count / 1e9)} GB"


def number(value):
    """Formats a number with three significant digits."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def _times(seconds, unit):
    values = sorted(map(unit.of, seconds))
    spread = f"{number(values[0])} - {number(values[-1])}"
    median = unit.of(statistics.median(seconds))
    return f"{number(median)} {unit.name}", spread, str(len(values))


def _ratio(ratio):
    return f"{number(ratio)}x" if ratio else ""
