"""Evaluate a backbone with kNN, a linear probe, fine-tuning, or without labels.

Takes a run, by default its newest checkpoint, or an exported module, and prints a table
of accuracies. Results of a run are also appended to its results.csv, which
`bt-keras report` prints, and the features of center crops are kept in its folder
features: an evaluation that was interrupted continues with them when it is repeated.

Examples:

    bt-keras evaluate --workdir runs/demo
    bt-keras evaluate --workdir runs/demo --untrained
    bt-keras evaluate --workdir runs/demo --checkpoint epoch-0050
    bt-keras evaluate --workdir runs/demo --protocol finetune --labels 1%,10%
    bt-keras evaluate --workdir runs/demo --protocol labelfree
    bt-keras evaluate --module runs/demo/module --source tfds:cifar10
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import faults, flags, image_flags, start
from bt_keras.errors import UsageError
from bt_keras.evaluation.evaluator import PROTOCOLS

ADVICE = faults.Advice(
    memory="lower config.evaluation.batch_size (with --protocol=full or finetune, that "
    "of config.evaluation.linear or finetune) in the run's config.json"
)
# The protocols that a flag belongs to; other flags belong to all protocols.
_FINE_TUNING = ("finetune",)
_FROZEN = ("cached", "full")
_FLAG_PROTOCOLS = {
    "k": _FROZEN,
    "temperature": _FROZEN,
    "strategy": (*_FROZEN, "labelfree"),
    "labels": _FINE_TUNING,
    "seeds": _FINE_TUNING,
    "plot": _FINE_TUNING,
}
_PERCENTAGE = re.compile(r"(\d+(\.\d+)?)%")


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    text = {
        "workdir": "Folder of the run to evaluate. Give either --workdir or --module.",
        "module": "Exported module to evaluate: a folder, a .tar.gz file or a URL. "
        "The results are printed, but not stored.",
        "test_split": "Split of the images to test on. Defaults to the split in the "
        "run's config.",
    }
    for name, description in text.items():
        absl_flags.DEFINE_string(name, None, description, flag_values=values)
    flags.define_checkpoint(values)
    image_flags.define(values, "Labeled images to evaluate on")
    absl_flags.DEFINE_enum(
        "protocol",
        "cached",
        list(PROTOCOLS),
        "Evaluation protocol.\n"
        "cached: kNN, and a linear probe on features of center crops that are "
        "computed once (fast).\n"
        "full: kNN, and the paper's linear probe on features of random crops.\n"
        "finetune: training of the whole network on shares of the labels, compared "
        "with the same network trained from scratch.\n"
        "labelfree: scores that need no labels (RankMe, alpha-ReQ, CLID, LiDAR, the "
        "loss of the test images over its floor); see docs/scores.md.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "untrained",
        False,
        "Evaluate the run's initial weights instead of a checkpoint. Not with "
        "--protocol=finetune, which trains a network from scratch anyway.",
        flag_values=values,
    )
    absl_flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "one", "mirrored"],
        "Where the features of center crops are computed. Not with "
        "--protocol=finetune.\n"
        "auto: on all GPUs of this machine, or the CPU.\n"
        "one: on the first GPU, or the CPU.\n"
        "mirrored: on all GPUs of this machine.",
        flag_values=values,
    )
    _define_evaluator_flags(values)
    return values


def _define_evaluator_flags(values):
    config = "Requires --protocol=cached or full. Defaults to that in the run's config."
    text = f"Number of neighbors that vote in kNN. {config}"
    absl_flags.DEFINE_integer("k", None, text, flag_values=values)
    text = f"Temperature of the kNN vote. {config}"
    absl_flags.DEFINE_float("temperature", None, text, flag_values=values)
    absl_flags.DEFINE_string(
        "labels",
        "1%,10%,100%",
        "Shares of the labels to fine-tune on, separated by commas. Each class "
        "contributes its share. Only for --protocol=finetune.",
        values,
    )
    absl_flags.DEFINE_integer(
        "seeds",
        3,
        "Number of seeds for each share; each seed draws other images and weights. "
        "Only for --protocol=finetune.",
        1,
        None,
        values,
    )
    absl_flags.DEFINE_string(
        "plot",
        None,
        "PNG file to write a plot of accuracy over the share of the labels to. Only "
        "for --protocol=finetune; needs matplotlib.",
        flag_values=values,
    )


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments)
    _check(values)
    overrides = _overrides(values)
    if values.plot:
        from bt_keras.evaluation import plots

        plots.check(values.plot)
    strategy = start.local_strategy(values.strategy)

    from bt_keras.evaluation.evaluate import evaluate
    from bt_keras.evaluation.report import results_table
    from bt_keras.evaluation.target import target_from_module, target_from_workdir
    from bt_keras.workdir import Workdir

    if values.module:
        target = target_from_module(values.module)
    else:
        workdir = Workdir(values.workdir)
        target = target_from_workdir(workdir, values.untrained, values.checkpoint)
    image_flags.apply(values, target.config)
    results = []

    def progress(measured):
        results.extend(measured)
        if values.protocol == "finetune":
            _print_progress(measured)

    try:
        evaluate(
            target,
            protocol=values.protocol,
            source=values.source,
            test_split=values.test_split,
            overrides=overrides,
            progress=progress,
            strategy=strategy,
        )
    finally:  # Also if a full disk, or Ctrl-C, ends the evaluation.
        if results:
            print(results_table(results), flush=True)
    if values.plot:
        plots.label_shares(results, values.plot)
        print(f"plot: {values.plot}")


def shares(text: str) -> tuple[float, ...]:
    """Parses percentages.

    Args:
        text: String, percentages separated by commas.

    Returns:
        Tuple of floats in (0, 1].

    Raises:
        UsageError: If a part is not a percentage or occurs twice.

    Example:

    >>> from bt_keras.cli.evaluate import shares
    >>> shares("1%,10%,100%")
    (0.01, 0.1, 1.0)
    """
    parsed = []
    for part in text.split(","):
        match = _PERCENTAGE.fullmatch(part.strip())
        share = float(match[1]) / 100 if match else 0.0
        if not 0 < share <= 1:
            raise UsageError(
                f"--labels={text}: {part.strip()!r} is not a percentage above 0% and "
                "up to 100%; separate percentages by commas, such as 1%,10%,100%."
            )
        if share in parsed:
            raise UsageError(f"--labels={text} has {part.strip()} twice; remove one.")
        parsed.append(share)
    return tuple(parsed)


def _check(values):
    if (values.workdir is None) == (values.module is None):
        raise UsageError(
            "give one of --workdir (a run) and --module (an exported module)"
            f"{', not both' if values.module else ''}."
        )
    if values.untrained and values.protocol == "finetune":
        raise UsageError(
            "--untrained cannot be used with --protocol=finetune, which always trains "
            "the same network from scratch for comparison: leave it out."
        )
    for name, protocols in _FLAG_PROTOCOLS.items():
        if values[name].present and values.protocol not in protocols:
            raise UsageError(
                f"--{name} requires --protocol={' or '.join(protocols)}: leave it out, "
                "or change the protocol."
            )
    if values.checkpoint and (values.module or values.untrained):
        raise UsageError(
            "--checkpoint requires --workdir, and cannot be used with --untrained."
        )
    if values.module and values.untrained:
        raise UsageError(
            "--untrained requires --workdir: a module does not contain the initial "
            "weights."
        )


def _overrides(values):
    """Returns the evaluators' arguments that replace those of the config."""
    knn = {"k": values.k, "temperature": values.temperature}
    return {
        "knn": {name: value for name, value in knn.items() if value is not None},
        "finetune": {"shares": shares(values.labels), "seeds": values.seeds},
    }


def _print_progress(results):
    from bt_keras.evaluation.report import settings_text

    first = results[0]
    settings = settings_text(first.settings | {"seed": first.seed})
    print(f"{settings}, {first.backbone}: top-1 {100 * first.value:.2f} %", flush=True)
