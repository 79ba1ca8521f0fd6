"""The results of the label-free evaluator, as lines of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bt_keras.evaluation.results import Result

# The name of the evaluator.
LABEL_FREE = "labelfree"


def is_label_free(result: Result) -> bool:
    """Returns whether a result is a score without labels."""
    return result.protocol == LABEL_FREE


def label_free_rows(
    results: Sequence[Result],
) -> tuple[tuple[str, ...], list[tuple]]:
    """Lays out scores without labels, one line for each.

    Args:
        results: `Result`s of this evaluator. A later one replaces an earlier one of
            the same kind.

    Returns:
        `(header, rows)` of strings.

    Example:

    >>> from bt_keras.evaluation.label_free_table import label_free_rows
    >>> from bt_keras.evaluation.results import Result
    >>> result = Result("labelfree", "rankme", 31.26, 500, {"of": "features"})
    >>> label_free_rows([result])[1]
    [('rankme', 'features', '31.26', '500', '', '', '', '')]
    """
    header = ("score", "of", "value", "images", "settings", "backbone", "epoch")
    lines = {}
    for result in results:
        settings = dict(result.settings)
        of = str(settings.pop("of", ""))
        rest = ", ".join(f"{name}={value}" for name, value in settings.items())
        key: tuple[Any, ...] = (result.metric, of, rest)
        key += (result.backbone, result.epoch, result.source)
        lines[key] = (
            *(result.metric, of, f"{result.value:.4g}", str(result.n), rest),
            *(result.backbone, result.epoch, result.source),
        )
    return (*header, "source"), list(lines.values())
