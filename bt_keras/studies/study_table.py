"""The results of a study as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bt_keras.studies.study import Study
from bt_keras.studies.summary import (
    METRICS,
    Accuracy,
    Outcomes,
    Row,
    missing,
    summarize,
)


def study_table(study: Study, scale: str, outcomes: Outcomes) -> str:
    """Formats the results of a study beside the paper's.

    Args:
        study: `Study`.
        scale: String, one line: what the runs are.
        outcomes: Dict, as for `bt_keras.studies.summary.summarize`.

    Returns:
        String, Markdown: a heading, the sources, the table, and the seeds without
        results.
    """
    rows = summarize(study, outcomes)
    parts = [
        f"# {study.title}",
        f"Runs: {scale}. The paper's figures: {study.source}.",
        markdown_table(_header(rows), [_cells(row, rows) for row in rows]),
    ]
    if lines := missing(study, outcomes):
        parts.append("Without results:\n\n" + "\n".join(f"- {line}" for line in lines))
    return "\n\n".join(parts) + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays out a Markdown table whose columns are aligned as text, too.

    Args:
        header: Sequence of strings.
        rows: Sequences of strings, as long as the header.

    Returns:
        String.

    Example:

    >>> from bt_keras.studies.study_table import markdown_table
    >>> print(markdown_table(("variant", "seeds"), [("both", "3 of 3")]))
    | variant | seeds  |
    |---------|--------|
    | both    | 3 of 3 |
    """
    rows = [header, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _has_several_references(rows):
    return len({row.reference.name for row in rows}) > 1


def _header(rows):
    against = ["against"] if _has_several_references(rows) else []
    measured = [
        column
        for metric in METRICS
        for column in (f"{metric} top-1 %", "difference", "direction")
    ]
    return ["variant", *against, "paper top-1 %", "difference", "seeds", *measured]


def _cells(row: Row, rows):
    is_reference = row.reference == row.variant
    against = ["" if is_reference else row.reference.name]
    paper = "" if row.variant.paper is None else f"{row.variant.paper:.1f}"
    paper_difference = _signed(row.paper_difference, 1)
    measured = [
        cell
        for metric in METRICS
        for cell in _measured(row.accuracies.get(metric), is_reference)
    ]
    seeds = f"{row.finished} of {row.planned}"
    shown = against if _has_several_references(rows) else []
    return [row.variant.name, *shown, paper, paper_difference, seeds, *measured]


def _measured(accuracy: Accuracy | None, is_reference):
    if accuracy is None:
        return "", "", ""
    deviation = "" if accuracy.deviation is None else f" ± {accuracy.deviation:.2f}"
    compared = accuracy.difference
    return (
        f"{accuracy.mean:.2f}{deviation}",
        _signed(compared.value if compared else None, 2),
        "" if is_reference else accuracy.direction,
    )


def _signed(value, digits):
    return "" if value is None else f"{value:+.{digits}f}"
