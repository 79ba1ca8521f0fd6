"""Tables of results, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bt_keras.evaluation.fine_tuning_summary import is_fine_tuning
from bt_keras.evaluation.fine_tuning_table import fine_tuning_rows
from bt_keras.evaluation.intervals import percent_interval
from bt_keras.evaluation.label_free_table import is_label_free, label_free_rows
from bt_keras.evaluation.probe_gap import probe_gaps
from bt_keras.evaluation.results import Result
from bt_keras.evaluation.settings import LABEL_SHARE, Scalar, without_chosen_rates

_ACCURACIES = {"top1": "top-1 %", "top5": "top-5 %"}
# Shares, which are printed in percent, by the beginning of the metric's name.
_PERCENT = ("top", "recall@", "mean average precision")
_INTERVAL = "95 % interval"
_COUNTS = ("epochs", "steps")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lays out rows of text in aligned columns.

    Args:
        header: Sequence of strings.
        rows: Sequences of strings, as long as the header.

    Returns:
        String, one line for the header, one for a rule, and one for each row.

    Example:

    >>> from bt_keras.evaluation.tables import table
    >>> print(table(("seed", "top-1 %"), [("0", "71.45")]))
    seed  top-1 %
    ----  -------
    0     71.45
    """
    rows = list(rows)
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def results_table(results: Iterable[Result]) -> str:
    """Formats results, one line for each backbone and evaluator.

    Evaluators with other metrics and scores without labels have tables of their own,
    and so have networks that were trained on a share of the labels, with mean and
    standard deviation over the seeds. The interval of the top-1 accuracy is that of
    `wilson`: where the accuracy on all images lies, as far as the number of test images
    tells.

    Args:
        results: `Result`s. A later one replaces an earlier one of the same kind.

    Returns:
        String, one or several tables.

    Example:

    >>> from bt_keras.evaluation.tables import results_table
    >>> from bt_keras.evaluation.results import Result
    >>> result = Result(
    ...     "knn", "top1", 0.5, n=128, settings={"k": 20}, backbone="pretrained",
    ...     epoch="4", source="shipped",
    ... )
    >>> print(results_table([result]))
    backbone    epoch  evaluator   source   top-1 %  95 % interval   top-5 %  ...
    ----------  -----  ----------  -------  -------  --------------  -------  ...
    pretrained  4      knn (k=20)  shipped  50.00    41.47 to 58.53           128
    """
    results = list(results)
    tuned = [result for result in results if is_fine_tuning(result)]
    scored = [result for result in results if is_label_free(result)]
    others = [r for r in results if not (is_fine_tuning(r) or is_label_free(r))]
    tables = _results_tables(others) if others or not (tuned or scored) else []
    if scored:
        tables.append(table(*label_free_rows(scored)))
    if tuned:
        tables.append(table(*fine_tuning_rows(tuned)))
    if gaps := probe_gaps(results):
        tables.append("\n".join(gaps))
    return "\n\n".join(tables)


def _results_tables(results):
    """Returns one table for the accuracies and one for each set of other metrics."""
    lines, counts = {}, {}
    for result in results:
        evaluator = result.protocol
        if settings := without_chosen_rates(result.settings):
            evaluator += f" ({settings_text(settings)})"
        key = (result.backbone, result.epoch, evaluator, result.source)
        lines.setdefault(key, {})[result.metric] = result.value
        counts[key] = result.n
    groups = {(): []}
    for key, values in lines.items():
        others = tuple(metric for metric in values if metric not in _ACCURACIES)
        groups.setdefault(others, []).append((key, values, counts[key]))
    if len(groups) > 1 and not groups[()]:
        del groups[()]
    return [_metrics_table(metrics, group) for metrics, group in groups.items()]


def _metrics_table(metrics, lines):
    if not metrics or any("top1" in values for _, values, _ in lines):
        metrics = (*_ACCURACIES, *metrics)
    columns = [(metric,) for metric in metrics]
    header = [_column(metric) for metric in metrics]
    if "top1" in metrics:
        columns.insert(1, ("top1", "interval"))
        header.insert(1, _INTERVAL)
    return table(
        ("backbone", "epoch", "evaluator", "source", *header, "test images"),
        [
            (*key, *(_cell(values, n, *column) for column in columns), str(n))
            for key, values, n in lines
        ],
    )


def is_share(metric: str) -> bool:
    """Returns whether the values of a metric are shares, printed in percent.

    Args:
        metric: String, the metric of a `Result`.
    """
    return metric.startswith(_PERCENT)


def _column(metric):
    name = _ACCURACIES.get(metric, metric)
    return f"{name} %" if is_share(metric) and not name.endswith("%") else name


def _cell(values, n, metric, kind="value"):
    if metric not in values:
        return ""
    value = values[metric]
    if kind == "interval":
        return percent_interval(value, n)
    return f"{100 * value:.2f}" if is_share(metric) else f"{value:.4g}"


def described(results: Sequence[Result]) -> str:
    """Describes the results of one measurement in one line.

    Args:
        results: Sequence of `Result`s with the same evaluator and backbone. Settings
            that not all of them have are left out.

    Returns:
        String.

    Example:

    >>> from bt_keras.evaluation.results import Result
    >>> from bt_keras.evaluation.tables import described
    >>> described([Result("knn", "top1", 0.5, 128, {"k": 20}, backbone="pretrained")])
    'knn (k=20), pretrained: top-1 50.00 %'
    """
    first = results[0]
    common = {
        name: value
        for name, value in first.settings.items()
        if all(result.settings.get(name) == value for result in results)
    }
    seed = {} if first.seed is None else {"seed": first.seed}
    settings = settings_text({**common, **seed})
    values = ", ".join(
        f"{name} {_cell({r.metric: r.value}, r.n, r.metric)}{percent}"
        for r in results
        for name, percent, _ in [_column(r.metric).partition(" %")]
    )
    name = f"{first.protocol} ({settings})" if settings else first.protocol
    return f"{name}, {first.backbone}: {values}"


def settings_text(settings: Mapping[str, Scalar]) -> str:
    """Formats the settings of a result.

    Args:
        settings: Dict from strings to scalars.

    Returns:
        String.

    Example:

    >>> from bt_keras.evaluation.tables import settings_text
    >>> settings_text({"label_share": 0.1, "images": 51, "steps": 400})
    'labels=10%, images=51, 400 steps'
    """

    def text(name, value):
        if name == LABEL_SHARE:
            return f"labels={100 * value:g}%"
        if name in _COUNTS:
            return f"{value} {name}"
        return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"

    return ", ".join(text(*item) for item in settings.items())
