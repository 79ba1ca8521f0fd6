"""Run a study of the paper, or a queue of runs.

A study compares variants of one recipe, such as other losses, over several seeds.
Without NAME and --queue, the studies are listed. --scale chooses the recipe of the
runs, or --config names any config. The runs, table.md and plot.png (which needs
matplotlib) are in the folder --out; the table says for each variant whether its
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
    bt-keras study methods --config=cifar10_fast --config.epochs=5
    bt-keras study loss --scale=imagenet
    bt-keras study --queue runs/queue
    bt-keras study --queue runs/queue --retry
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from bt_keras import config as config_lib
from bt_keras.cli import config_flags, config_manual, faults, flags, start
from bt_keras.errors import UsageError
from bt_keras.studies import scales
from bt_keras.studies.catalog import STUDIES
from bt_keras.studies.scales import MOST_SEEDS, SCALES

POSITIONAL = "[NAME]"

ADVICE = faults.Advice(
    memory="lower config.batch_size of the runs, or the number of processes",
    resumes=True,
)
_OF_A_STUDY = ("scale", "config", "seeds", "out", "table")

manual_end = config_manual.text


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
    absl_flags.DEFINE_string(
        "config",
        None,
        "Config file, or the name of one of this project's configs, as the recipe of a "
        "study instead of --scale. --config.FIELD=VALUE overrides a field.",
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
        "Folder of a study. Defaults to runs/studies/NAME-SCALE, or NAME-CONFIG.",
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
        "Name of one run of --queue, to run in this process. Defaults to all runs.",
        flag_values=values,
    )
    absl_flags.DEFINE_bool("retry", False, "Repeat failed runs.", flag_values=values)
    return values


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    rest = flags.parse(values, arguments, known_only=True, positional=True)
    names = [argument for argument in rest if not argument.startswith("-")]
    fields = [argument for argument in rest if argument.startswith("-")]
    _check_together(values, names)
    _check_fields(values, fields)
    if values.queue:
        _run_queue(values)
    elif names:
        _run_study(_study(names[0]), values, fields)
    else:
        width = max(map(len, STUDIES))
        for name, study in STUDIES.items():
            print(f"{name:{width}}  {study.title}")


def _check_fields(values, fields):
    """Raises `UsageError` for flags that are no fields of `--config`."""
    for field in fields:
        if not config_flags.are_given([field]):
            raise UsageError(f"{field!r} is not a flag.")
        if "=" not in field:
            raise UsageError(f"{field} has no value: write {field}=VALUE.")
        if not values.config:
            raise UsageError(f"{field} requires --config, the config that it changes.")


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
    if values.config and values["scale"].present:
        raise UsageError("--config and --scale both give the recipe: remove one.")
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


def _scale(study, values, fields):
    """Returns the name of the recipe, and the `Scale`."""
    if not values.config:
        return values.scale, SCALES[values.scale]
    config = config_flags.resolve(values, fields)
    for field in fields:
        _check_effect(study, values, fields, field)
    changes = [field.lstrip("-").removeprefix("config.") for field in fields]
    name = Path(values.config).stem
    return name, scales.of_config(", ".join([name, *changes]), config)


def _check_effect(study, values, fields, field):
    """Raises `UsageError` for a field that the study sets itself in every run."""
    name = field.partition("=")[0]
    if name.endswith("config.seed"):
        raise UsageError(f"{name} cannot be used with a study: give --seeds.")
    others = [other for other in fields if other is not field]
    try:
        (config, runs), (other_config, other_runs) = (
            _as_text(study, config_flags.resolve(values, given))
            for given in (fields, others)
        )
    except UsageError:  # Other fields need this one.
        return
    if config != other_config and runs == other_runs:
        raise UsageError(
            f"{name} has no effect: the study {study.name} sets this field in every "
            "run; leave it out."
        )


def _as_text(study, config):
    """Returns a config and those of the runs of one seed as JSON."""
    runs = scales.configs(study, scales.of_config("", config), seed=0)
    return config_lib.to_json(config), {n: config_lib.to_json(run) for n, run in runs}


def _run_study(study, values, fields):
    name, scale = _scale(study, values, fields)
    if not scale.trains:
        _print_cost(study, scale, values)
        return

    from bt_keras.studies import run_study

    out = values.out or f"runs/studies/{study.name}-{name}"
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
