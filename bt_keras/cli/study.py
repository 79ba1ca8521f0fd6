"""Make a study of the paper, or the runs of a queue, one after the other.

A study compares variants of one recipe, such as other losses, over several seeds.
Without NAME and --queue, the studies are listed. The runs, table.md and plot.png (which
needs matplotlib) are in the folder --out; the table says for each variant whether its
difference from the baseline has the sign of the paper's.

A queue is a folder with one entry for each run, which `bt_keras.studies.queue.Queue`
adds: a config and the protocols to evaluate the run with. Every run has a process of
its own. Results are in results.csv of the folder, which grows with every run; a run
that fails is recorded there with its error, and the next one begins. The same command
continues a study or a queue that was stopped or killed; several processes can work on
one folder.

Examples:

    bt-keras study
    bt-keras study loss --scale=small
    bt-keras study loss --table
    bt-keras study loss --scale=imagenet
    bt-keras study --queue runs/queue
    bt-keras study --queue runs/queue --retry
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import faults, flags, start
from bt_keras.errors import UsageError
from bt_keras.studies.catalog import STUDIES
from bt_keras.studies.scales import MOST_SEEDS, SCALES

POSITIONAL = "[NAME]"

ADVICE = faults.Advice(
    memory="lower config.batch_size of the runs, or the number of processes",
    resumes=True,
)
_OF_A_STUDY = ("scale", "seeds", "out", "table")


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    absl_flags.DEFINE_enum(
        "scale",
        "small",
        list(SCALES),
        "Size of a study's runs.\n"
        + "\n".join(f"{name}: {scale.title}." for name, scale in SCALES.items())
        + "\nimagenet prints the plan and the cost instead of training.",
        flag_values=values,
    )
    absl_flags.DEFINE_integer(
        "seeds",
        3,
        "Number of seeds of a study. A larger number adds runs.",
        lower_bound=1,
        upper_bound=MOST_SEEDS,
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "out",
        None,
        "Folder of a study. Defaults to runs/studies/NAME-SCALE.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "table",
        False,
        "Only print and write the table and the plot of what has been run.",
        flag_values=values,
    )
    absl_flags.DEFINE_string("queue", None, "Folder of a queue.", flag_values=values)
    absl_flags.DEFINE_string(
        "entry",
        None,
        "Name of a single run of --queue to make, in this process. Defaults to all "
        "runs.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "retry", False, "Make failed runs again.", flag_values=values
    )
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    names = flags.parse(values, arguments, positional=True)
    _check_together(values, names)
    if values.queue:
        _run_queue(values)
    elif names:
        _run_study(_study(names[0]), values)
    else:
        width = max(map(len, STUDIES))
        for name, study in STUDIES.items():
            print(f"{name:{width}}  {study.title}")


def _check_together(values, names):
    """Raises `UsageError` for arguments that cannot be used together."""
    if len(names) > 1:
        raise UsageError(f"{names[1]!r}: give one study.")
    given = [f"--{name}" for name in _OF_A_STUDY if values[name].present]
    if values.queue and (names or given):
        raise UsageError(
            f"{(names or given)[0]} cannot be used with --queue: give a study's name, "
            "or --queue."
        )
    if values.entry and not values.queue:
        raise UsageError("--entry requires --queue.")
    if not (names or values.queue) and (given or values.retry):
        raise UsageError(
            f"{given[0] if given else '--retry'} requires the name of a study: "
            f"{', '.join(STUDIES)}."
        )


def _study(name):
    if name in STUDIES:
        return STUDIES[name]
    near = difflib.get_close_matches(name, STUDIES, n=1)
    raise UsageError(
        f"there is no study {name!r}; "
        + (f"did you mean {near[0]}? " if near else "")
        + f"The studies are {', '.join(STUDIES)}."
    )


def _run_study(study, values):
    scale = SCALES[values.scale]
    if not scale.trains:
        _print_cost(study, scale, values)
        return

    from bt_keras.studies import run_study

    out = values.out or f"runs/studies/{study.name}-{values.scale}"
    queue = run_study.open_queue(study, scale, out)
    if not values.table:
        run_study.add_runs(queue, study, scale, values.seeds)
        _make_runs(queue, values.retry)
    print(run_study.write_results(queue, study, scale), end="")


def _print_cost(study, scale, values):
    if values.table or values.out:
        raise UsageError(
            f"--scale={values.scale} trains nothing, so it has no "
            f"{'--table' if values.table else '--out'}: remove it, or take another "
            "scale."
        )
    start.tensorflow()

    from bt_keras.studies.study_cost import study_cost

    print(study_cost(study, scale, values.seeds), end="")


def _run_queue(values):
    from bt_keras.studies.queue import Queue

    queue = Queue(values.queue)
    if values.entry:
        if values.retry:
            queue.forget_failed()
        config, _ = queue.entry(values.entry)  # Raises before TensorFlow starts.
        strategy = start.local_strategy("auto", config.threads)

        from bt_keras.studies.run_entry import run_entry

        run_entry(queue, values.entry, strategy)
        return
    _make_runs(queue, values.retry)


def _make_runs(queue, retry):
    from bt_keras.studies.run_queue import run_queue

    if retry:
        queue.forget_failed()
    command = [sys.executable, "-m", "bt_keras.cli", "study", f"--queue={queue.path}"]
    run_queue(queue, lambda name: [*command, f"--entry={name}"])
    print(f"results: {queue.results_file}")
