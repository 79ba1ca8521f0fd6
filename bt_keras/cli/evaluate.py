"""Evaluate a backbone: kNN, linear probes, few labels, or scores without labels.

Takes a run, by default its newest checkpoint, or an exported module, and prints tables
of accuracies. Results of a run are also appended to its results.csv, which
`bt-keras report` prints, and the features of center crops are kept in its folder
features: an evaluation that was interrupted resumes when it is repeated.

Examples:

    bt-keras evaluate --workdir runs/demo
    bt-keras evaluate --workdir runs/demo --untrained
    bt-keras evaluate --workdir runs/demo --checkpoint epoch-0050
    bt-keras evaluate --workdir runs/demo --protocol semi,finetune --labels 1%,10%
    bt-keras evaluate --workdir runs/demo --protocol labelfree
    bt-keras evaluate --workdir runs/demo --protocol all
    bt-keras evaluate --module runs/demo/module --source tfds:cifar10
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import evaluator_flags, faults, flags, image_flags, start
from bt_keras.errors import UsageError
from bt_keras.evaluation.evaluator import evaluator_names

ADVICE = faults.Advice(
    memory="lower config.evaluation.batch_size, or the batch_size of the protocol's "
    "entry under config.evaluation, in the run's config.json"
)
_PROTOCOL = (
    "Evaluation protocol, or several separated by commas.\n"
    "knn: votes of the nearest training images.\n"
    "retrieval: images of the same class among the nearest test images.\n"
    "linear: linear_exact, the paper's linear probe on features of random crops, "
    "and linear_cached, one on features of center crops that are computed once; "
    "and how far apart they are.\n"
    "transfer: the linear probe on another data set, with --source.\n"
    "multilabel: linear support vector machines for images with several labels "
    "each; needs scikit-learn.\n"
    "semi: training of the whole network on shares of the labels, compared with "
    "the same network trained from scratch.\n"
    "finetune: the same on all labels.\n"
    "labelfree: scores that need no labels (RankMe, alpha-ReQ, CLID, LiDAR, the "
    "loss of the test images over its floor); see docs/scores.md.\n"
    "cached: knn and linear_cached (fast).\n"
    "full: knn and linear_exact.\n"
    "all: every protocol that the data allow; prints which are skipped, and why."
)


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    _define_target(values)
    image_flags.define(values, "Labeled images to evaluate on")
    image_flags.define_splits(values, "labeled images to train on", "images to test on")
    absl_flags.DEFINE_string("protocol", "cached", _PROTOCOL, flag_values=values)
    absl_flags.DEFINE_bool(
        "remeasure",
        False,
        "Measure again what results.csv has for the same weights, images and settings.",
        flag_values=values,
    )
    absl_flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "one", "mirrored"],
        "Where the features of center crops are computed.\n"
        "auto: on all GPUs of this machine, or the CPU.\n"
        "one: on the first GPU, or the CPU.\n"
        "mirrored: on all GPUs of this machine.",
        flag_values=values,
    )
    evaluator_flags.define(values)
    return values


def _define_target(values):
    """Adds the flags that say which network is evaluated."""
    text = {
        "workdir": "Folder of the run to evaluate. Give either --workdir or --module.",
        "module": "Exported module to evaluate: a folder, a .tar.gz file, a URL or the "
        "name of a published model. The results are printed, but not stored.",
    }
    for name, description in text.items():
        absl_flags.DEFINE_string(name, None, description, flag_values=values)
    flags.define_checkpoint(values)
    absl_flags.DEFINE_bool(
        "untrained",
        False,
        "Evaluate the run's initial weights instead of a checkpoint. Not with semi and "
        "finetune, which train a network from scratch anyway.",
        flag_values=values,
    )


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments)
    _check(values)
    overrides = evaluator_flags.overrides(values)
    if values.plot:
        from bt_keras.evaluation import plots

        plots.check(values.plot)
    strategy = start.local_strategy(values.strategy)

    from bt_keras.evaluation.evaluate import evaluate
    from bt_keras.evaluation.tables import results_table

    target = _load_target(values)
    results = []

    def progress(measured):
        results.extend(measured)
        _print_progress(measured)

    try:
        evaluate(
            target,
            protocol=values.protocol,
            source=values.source,
            train_split=values.train_split,
            test_split=values.test_split,
            overrides=overrides,
            progress=progress,
            strategy=strategy,
            remeasure=values.remeasure,
        )
    finally:  # Also if a full disk, or Ctrl-C, ends the evaluation.
        if results:
            print(results_table(results), flush=True)
    if values.plot:
        plots.label_shares(results, values.plot)
        print(f"plot: {values.plot}")


def _load_target(values):
    from bt_keras.evaluation.target import target_from_module, target_from_workdir
    from bt_keras.workdir import Workdir

    if values.module:
        target = target_from_module(values.module)
    else:
        workdir = Workdir(values.workdir)
        target = target_from_workdir(workdir, values.untrained, values.checkpoint)
    image_flags.apply(values, target.config)
    return target


def _check(values):
    if (values.workdir is None) == (values.module is None):
        raise UsageError(
            "give one of --workdir (a run) and --module (an exported module)"
            f"{', not both' if values.module else ''}."
        )
    evaluator_flags.check(values, evaluator_names(values.protocol))
    if values.checkpoint and (values.module or values.untrained):
        raise UsageError(
            "--checkpoint requires --workdir, and cannot be used with --untrained."
        )
    if values.module and values.untrained:
        raise UsageError(
            "--untrained requires --workdir: a module does not contain the initial "
            "weights."
        )


def _print_progress(results):
    from bt_keras.evaluation.tables import described

    print(described(results), flush=True)
