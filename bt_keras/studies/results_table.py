"""The table of the runs of a queue: the fields that differ, and the values."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def results_csv(
    configs: Mapping[str, Mapping[str, Any]], outcomes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Formats the outcomes of runs as CSV, a line for each.

    Args:
        configs: Dict from the names of all runs to what `bt_keras.config.fields`
            returns.
        outcomes: Dict from the names of the runs that have ended to dicts with the
            fields of `bt_keras.studies.queue.Outcome`.

    Returns:
        String.

    Example:

    >>> from bt_keras.studies.results_table import results_csv
    >>> configs = {"a": {"lambd": 0.1, "seed": 0}, "b": {"lambd": 0.2, "seed": 0}}
    >>> outcome = {"status": "finished", "seconds": 1.0, "values": {"loss": 2.0}}
    >>> print(*results_csv(configs, {"b": {**outcome, "error": ""}}).splitlines())
    run,status,lambd,loss,seconds,error b,finished,0.2,2.0,1.0,
    """
    differing = differing_fields(list(configs.values()))
    rows = []
    for name, outcome in outcomes.items():
        own = {"run": name, "status": outcome["status"]}
        own |= {field: configs[name].get(field, "") for field in differing}
        own |= {**outcome["values"], "seconds": round(outcome["seconds"], 1)}
        rows.append({**own, "error": outcome["error"]})
    columns = list(dict.fromkeys(key for row in rows for key in row))
    columns = [c for c in columns if c not in ("seconds", "error")]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*columns, "seconds", "error"], restval="")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def differing_fields(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lists the fields in which configs differ.

    Args:
        configs: Sequence of dicts, what `bt_keras.config.fields` returns.

    Returns:
        List of strings, sorted.

    Example:

    >>> from bt_keras.studies.results_table import differing_fields
    >>> differing_fields([{"lambd": 0.1, "seed": 0}, {"lambd": 0.2, "seed": 0}])
    ['lambd']
    """
    names = sorted({name for config in configs for name in config})
    return [
        name
        for name in names
        if any(config.get(name) != configs[0].get(name) for config in configs)
    ]
