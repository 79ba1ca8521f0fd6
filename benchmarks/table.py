"""The Markdown tables."""

import dataclasses
import statistics
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Unit:
    """How a time is shown: its name, and a function from seconds to a number."""

    name: str
    of: Callable


SECONDS = Unit("s", lambda seconds: seconds)
MILLISECONDS = Unit("ms", lambda seconds: 1e3 * seconds)
PAIRS = Unit("pairs/s", lambda seconds: 1 / seconds)


def header(note=None, ratio="time / our time"):
    """Prints the head of a table, with a last column `note` if there is one.

    Args:
        note: str, its name.
        ratio: str, the name of the column that holds the others to the first.
    """
    columns = ["case", "side", "median", "min - max", "rounds"]
    columns += [ratio, "peak memory", *([note] if note else [])]
    _line(columns)
    _line(["---"] * len(columns))


def rows(case, results, unit, note=None):
    """Prints a row for each result of a case; the first is what others are held to.

    Args:
        case: str.
        results: list of `turns.Result`.
        unit: `Unit`.
        note: function from a result to str, what stands in the last column.
    """
    ours = statistics.median(results[0].seconds) if results[0].seconds else None
    for result in results:
        if result.failure or not result.seconds:
            cells = [f"did not run: {result.failure}", "", "", "", ""]
        else:
            ratio = statistics.median(result.seconds) / ours if ours else None
            cells = [*_times(result.seconds, unit), _ratio(ratio), size(result.peak)]
        last = [note(result) if result.seconds else ""] if note else []
        _line([case, result.name, *cells, *last])


def size(count):
    """Returns str, a number of bytes in GB (10^9)."""
    return f"{number(count / 1e9)} GB"


def number(value):
    """Returns str, a number with three digits that mean something."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def _times(seconds, unit):
    values = sorted(map(unit.of, seconds))
    spread = f"{number(values[0])} - {number(values[-1])}"
    median = unit.of(statistics.median(seconds))
    return f"{number(median)} {unit.name}", spread, str(len(values))


def _ratio(ratio):
    return f"{number(ratio)}x" if ratio else ""


def _line(cells):
    clean = (str(cell).replace("|", "/") for cell in cells)
    print(f"| {' | '.join(clean)} |", flush=True)
