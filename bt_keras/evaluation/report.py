"""Tables of what a workdir holds."""

import json
import re
import statistics

# As `bt_keras.evaluation.FineTuning` writes them, but for the share.
_FINE_TUNED = re.compile(r"labels=(.+)%, images=(\d+), seed=(\d+), (.+)")


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
    """One line a backbone and evaluator, with its top-1 and top-5 accuracy.

    Args:
        rows: sequence of dicts of `bt_keras.workdir.RESULT_FIELDS`.

    Returns:
        str; for fine-tuning a table of its own, the seeds' mean and deviation.
    """
    tuned = [row for row in rows if row["evaluator"] == "finetune"]
    others = [row for row in rows if row["evaluator"] != "finetune"]
    tables = [_frozen_table(others)] if others or not tuned else []
    if tuned:
        tables.append(_fine_tuning_table(fine_tuning(tuned)))
    return "\n\n".join(tables)


def _frozen_table(rows):
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


def fine_tuning(rows):
    """Gathers the results of fine-tuning over their seeds.

    Args:
        rows: sequence of dicts of `bt_keras.workdir.RESULT_FIELDS`, of the evaluator
            `"finetune"`. Of two with the same seed the later one counts.

    Returns:
        list of dicts, by share of the labels: `"share"`, float, %; `"backbone"`,
        `"epoch"`, `"images"` (those with a label), `"steps"`, `"source"` and
        `"test_images"`, str; `"top1"` and `"top5"`, lists of float, %, one a seed.
    """
    groups = {}
    for row in rows:
        share, images, seed, steps = _FINE_TUNED.fullmatch(row["settings"]).groups()
        fields = ("backbone", "epoch", "source", "test_images")
        group = {name: str(row[name]) for name in fields}
        group |= {"share": float(share), "images": images, "steps": steps}
        scores = groups.setdefault(tuple(group.items()), {"top1": {}, "top5": {}})
        scores[row["metric"]][seed] = 100 * row["value"]
    summaries = [
        {**dict(group), **{metric: list(s.values()) for metric, s in scores.items()}}
        for group, scores in groups.items()
    ]
    return sorted(summaries, key=lambda line: (line["share"], line["backbone"]))


def mean_and_deviation(values):
    """Returns the mean, and the deviation of a sample (n - 1), None of one value."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return statistics.fmean(values), deviation


def _fine_tuning_table(summaries):
    def accuracy(values):
        mean, deviation = mean_and_deviation(values)
        return f"{mean:.2f}" if deviation is None else f"{mean:.2f} ± {deviation:.2f}"

    header = ("labels", "labelled images", "backbone", "epoch", "top-1 %", "top-5 %")
    return table(
        (*header, "seeds", "trained for", "source", "test images"),
        [
            (
                f"{summary['share']:g}%",
                summary["images"],
                summary["backbone"],
                summary["epoch"],
                accuracy(summary["top1"]),
                accuracy(summary["top5"]),
                str(len(summary["top1"])),
                summary["steps"],
                summary["source"],
                summary["test_images"],
            )
            for summary in summaries
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
        checks = f"{export['passed']} of {export['checks']} passed in a fresh process"
        facts.append(("checks of the SavedModel", checks))
    if workdir.sample_views.is_file():
        facts.append(("sample view pairs", str(workdir.sample_views)))
    parts += [table((name + ":", value), []).splitlines()[0] for name, value in facts]
    return "\n".join([parts[0], "", *parts[1:]])
