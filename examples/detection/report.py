"""Formats the results of a comparison."""

import statistics

_MEASURES = ("AP", "AP50")


def line(row):
    """Formats one run: a dict with `init`, `seed`, `losses`, `AP` and `AP50`."""
    measures = ", ".join(f"{name} {100 * row[name]:.1f}" for name in _MEASURES)
    return f"{row['init']}, seed {row['seed']}: {measures} %"


def table(rows):
    """Formats the mean and standard deviation over seeds of each initialization.

    Args:
        rows: List of dicts as for `line`.

    Returns:
        String, a table.
    """
    lines = [f"{'initialization':16}{'AP %':16}{'AP50 %':16}seeds"]
    for name in dict.fromkeys(row["init"] for row in rows):
        own = [row for row in rows if row["init"] == name]
        cells = [_spread([100 * row[measure] for row in own]) for measure in _MEASURES]
        lines.append(f"{name:16}{cells[0]:16}{cells[1]:16}{len(own)}")
    return "\n".join(lines)


def _spread(values):
    mean = f"{statistics.mean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean
