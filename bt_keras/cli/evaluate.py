"""Evaluate a backbone with kNN, a linear probe or fine-tuning.

Takes the newest checkpoint of a run, or an exported module, and prints a table of
accuracies. Results of a run are also appended to its results.csv.

Examples:

    bt-keras evaluate --workdir runs/demo
    bt-keras evaluate --workdir runs/demo --protocol finetune --labels 1%,10%
    bt-keras evaluate --module runs/demo/module --source tfds:cifar10
"""

import re

from absl import flags as absl_flags

from bt_keras.cli import flags, start
from bt_keras.errors import UsageError

_FINE_TUNING = ("labels", "seeds", "plot")
_OTHERS = ("untrained", "k", "temperature")
_PERCENTAGE = re.compile(r"(\d+(\.\d+)?)%")


def run(arguments):
    """Judges a backbone and prints what it is worth."""
    values = define_flags()
    flags.parse(values, arguments)
    _check(values)
    finetune = {"shares": shares(values.labels), "seeds": values.seeds}
    if values.plot:
        from bt_keras.evaluation import plots

        plots.check(values.plot)
    start.tensorflow()

    from bt_keras.evaluation import evaluate as evaluation
    from bt_keras.evaluation.report import results_table
    from bt_keras.workdir import Workdir

    if values.module:
        subject = evaluation.of_module(values.module)
    else:
        subject = evaluation.of_workdir(Workdir(values.workdir), values.untrained)
    knn = {"k": values.k, "temperature": values.temperature}
    rows = evaluation.evaluate(
        subject,
        protocol=values.protocol,
        source=values.source,
        test_split=values.test_split,
        knn={name: value for name, value in knn.items() if value is not None},
        finetune=finetune,
        progress=_print,
    )
    print(results_table(rows))
    if values.plot:
        plots.label_shares(rows, values.plot)
        print(f"plot: {values.plot}")


def shares(text):
    """Reads percentages.

    Args:
        text: str, such as `"1%,10%,100%"`.

    Returns:
        tuple of float in (0, 1].

    Raises:
        UsageError: for anything else, or the same one twice.
    """
    found = []
    for part in text.split(","):
        match = _PERCENTAGE.fullmatch(part.strip())
        share = float(match[1]) / 100 if match else 0.0
        if not 0 < share <= 1:
            raise UsageError(
                f"--labels={text}: {part.strip()!r} is not a percentage above 0% and "
                "up to 100%; give some with commas between, such as 1%,10%,100%."
            )
        if share in found:
            raise UsageError(f"--labels={text} has {part.strip()} twice.")
        found.append(share)
    return tuple(found)


def define_flags():
    """Returns the command's flags."""
    values = flags.new()
    text = {
        "workdir": "The folder of the run to evaluate.",
        "module": "What to evaluate instead: an exported module, a folder, a .tar.gz "
        "or a URL. Its results are printed only.",
        "source": "Labelled images other than the run's.",
        "test_split": "The part of them to test on, other than the run's.",
        "plot": "A .png file for accuracy over the share of the labels.",
    }
    for name, what in text.items():
        absl_flags.DEFINE_string(name, None, what, flag_values=values)
    absl_flags.DEFINE_enum(
        "protocol",
        "cached",
        ["cached", "full", "finetune"],
        "cached and full: kNN, and a linear probe on features of centre crops, "
        "computed once, or on random crops, as the paper has it; finetune: the whole "
        "network on shares of the labels, against the same network from scratch.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "untrained",
        False,
        "Evaluate the run's initial weights in place of its newest checkpoint.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer("k", None, "Neighbours that vote.", flag_values=values)
    absl_flags.DEFINE_float("temperature", None, "Of their votes.", flag_values=values)
    absl_flags.DEFINE_string(
        "labels", "1%,10%,100%", "Shares of the labels, of each class.", values
    )
    absl_flags.DEFINE_integer(
        "seeds", 3, "How often each share is drawn and trained on.", 1, None, values
    )
    return values


def _check(values):
    if (values.workdir is None) == (values.module is None):
        raise UsageError(
            "give one of --workdir (a run) and --module (an exported module)"
            f"{', not both' if values.module else ''}."
        )
    finetune = values.protocol == "finetune"
    if finetune and values.untrained:
        raise UsageError(
            "--untrained is not for --protocol=finetune, which always trains the same "
            "network from scratch to compare: leave it out."
        )
    for name in _OTHERS if finetune else _FINE_TUNING:
        if values[name].present:
            wants = "cached or full" if finetune else "finetune"
            raise UsageError(f"--{name} is for --protocol={wants}: leave it out.")
    if values.module and values.untrained:
        raise UsageError(
            "--untrained is for --workdir: a module does not hold its initial weights."
        )


def _print(line):
    print(line, flush=True)
