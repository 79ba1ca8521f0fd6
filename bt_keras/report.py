"""Tables of what a workdir holds."""

import json


def table(header, rows):
    """Lays out rows of text in aligned columns.

    Args:
        header: sequence of str.
        rows: sequence of sequences of str, as long as the header.

    Returns:
        str, one line a row, a rule under the header.
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def results_table(rows):
    """One line a backbone and evaluator, with its top-1 and top-5 accuracy."""
    lines = {}
    for row in rows:
        evaluator = f"{row['evaluator']} ({row['settings']})"
        key = (row["backbone"], str(row["epoch"]), evaluator, row["source"])
        line = lines.setdefault(key, {"test_images": str(row["test_images"])})
        line[row["metric"]] = f"{100 * row['value']:.2f}"
    header = (
        "backbone",
        "epoch",
        "evaluator",
        "source",
        "top-1 %",
        "top-5 %",
        "test images",
    )
    return table(
        header,
        [
            (*key, line.get("top1", ""), line.get("top5", ""), line["test_images"])
            for key, line in lines.items()
        ],
    )


def report(workdir):
    """Sums up a run: accuracies, the last loss terms, and where everything is.

    Args:
        workdir: `bt_keras.workdir.Workdir` of a run.

    Returns:
        str, ready to print.
    """
    parts = [results_table(workdir.results())]
    facts = []
    if log := workdir.last_log():
        epoch = int(log["epoch"]) + 1
        for name in ("loss", "invariance", "redundancy"):
            facts.append((f"{name}, epoch {epoch}", f"{log[name]:.4g}"))
    if workdir.export_report.is_file():
        export = json.loads(workdir.export_report.read_text())
        facts.append(("SavedModel", export["module"]))
        difference = f"{export['largest_difference']:.2g}"
        facts.append(("largest difference of its features after reloading", difference))
    if workdir.sample_views.is_file():
        facts.append(("sample view pairs", str(workdir.sample_views)))
    parts += [table((name + ":", value), []).splitlines()[0] for name, value in facts]
    return "\n".join([parts[0], "", *parts[1:]])
