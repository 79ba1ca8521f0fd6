"""Several runs side by side: recipes, losses, results, and a ranking by a score."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.tables import is_share, table
from bt_keras.files import reading
from bt_keras.studies import ranking
from bt_keras.studies.curves import loss_table
from bt_keras.studies.results_table import differing_fields
from bt_keras.studies.run_values import newest_results, run_values
from bt_keras.workdir import Workdir

# Fields that do not change what was trained.
_IGNORED = ("data.source", "checkpoint.", "evaluation.", "threads", "callbacks.")


def compare(workdirs: Sequence[Workdir], score: str = ranking.DEFAULT) -> str:
    """Lays runs side by side.

    Args:
        workdirs: Sequence of at least two `bt_keras.workdir.Workdir`s.
        score: String, a key of `bt_keras.studies.ranking.SCORES`, which ranks the runs.
            Defaults to `bt_keras.studies.ranking.DEFAULT`.

    Returns:
        String: a table of the fields in which the recipes differ, one of the losses
        of some epochs, one of the last losses and the results (with the sizes of the
        images, where the runs differ), and the ranking of the runs that have the score,
        which is left out if no run was evaluated with scores that need no labels.

    Raises:
        UsageError: If the runs cannot be compared: there are fewer than two, they were
            trained or evaluated on different images, evaluated with different
            settings, or one has no results.
    """
    if len(workdirs) < 2:
        raise UsageError("a comparison needs at least two runs.")
    names = _short_names(workdirs)
    configs = {
        name: config_lib.fields(workdir.config())
        for name, workdir in zip(names, workdirs, strict=True)
    }
    named = dict(zip(names, workdirs, strict=True))
    _check_equal(
        "trained on different images", {n: _images(named[n], configs[n]) for n in names}
    )
    evaluated = _evaluated(named)
    values = {}
    for name, workdir in named.items():
        values[name] = run_values(workdir)
        if not values[name]:
            raise UsageError(
                f"run {workdir.path} has neither losses nor results: train it, or "
                "leave it out."
            )
    epochs = {name: _epochs(named[name], evaluated[name]) for name in names}
    sizes = _differing_sizes(configs, evaluated)
    numbers = _numbers(values, epochs, sizes)
    parts = [_recipes(configs), loss_table(named), numbers]
    if any(key.startswith("labelfree ") for run in values.values() for key in run):
        parts.append(_ranking(score, values))
        parts.append(_caution(score, configs, sizes))
    return "\n\n".join(filter(None, parts))


def _caution(score, configs, sizes):
    """Returns a line if the runs differ in what changes the score."""
    prefixes = ranking.CHANGES_WITH.get(score, ())
    fields = differing_fields(list(configs.values()))
    found = [field for field in fields if field.startswith(prefixes)]
    result = f"labelfree {score.removesuffix('_features')}"
    if "views.size" not in found and any(each.startswith(result) for each in sizes):
        found.append("the size of the images")
    if found:
        return (
            f"the runs differ in {', '.join(found)}, with which {score} changes: it "
            "ranks only runs with the same values."
        )
    return ""


def _short_names(workdirs):
    """Returns the names of the folders, or their paths if names occur twice."""
    names = [workdir.path.resolve().name for workdir in workdirs]
    if len(set(names)) == len(names):
        return names
    paths = [str(workdir.path) for workdir in workdirs]
    if twice := [p for p, count in collections.Counter(paths).items() if count > 1]:
        raise UsageError(f"run {twice[0]} is given twice: give each run once.")
    return paths


def _evaluated(workdirs):
    """Returns each run's newest results, after checking that they are comparable."""
    evaluated = {
        name: newest_results(results_file.read(workdir.results_file))
        for name, workdir in workdirs.items()
    }
    for result in dict.fromkeys(key for run in evaluated.values() for key in run):
        kinds = {
            name: run[result].kind for name, run in evaluated.items() if result in run
        }
        _check_equal(
            f"evaluated ({result}) on different images or with different settings",
            kinds,
        )
    return evaluated


def _check_equal(how, values: Mapping[str, Any]):
    (first, expected), *others = values.items()
    for name, found in others:
        if found != expected:
            raise UsageError(
                f"runs {first} and {name} cannot be compared: they were {how}."
            )


def _epochs(workdir, evaluated):
    """Returns the epochs of the last losses and of the results, as text."""
    log = workdir.last_log()
    trained = f"{log['epoch'] + 1:g}" if log else ""
    measured = next(iter(evaluated.values()), None)
    return trained, f"{measured.epoch:g}" if measured else ""


def _differing_sizes(configs, evaluated):
    """Returns the sizes of the images by result and run, where the runs differ."""
    sizes = collections.defaultdict(dict)
    for name, results in evaluated.items():
        for result, measured in results.items():
            sizes[result][name] = measured.size or configs[name]["views.size"]
    return {
        result: by_run
        for result, by_run in sizes.items()
        if len(set(by_run.values())) > 1
    }


def _images(workdir, config):
    """Returns what is known about the training images of a run."""
    if workdir.images_file.is_file():
        with reading.reporting_damage(workdir.images_file, "leave the run out"):
            return reading.read_json_object(workdir.images_file)
    return config["data.source"], config["data.train_split"]


def _recipes(configs):
    fields = [
        field
        for field in differing_fields(list(configs.values()))
        if not field.startswith(_IGNORED)
    ]
    if not fields:
        return "the recipes do not differ"
    return table(
        ("run", *fields),
        [
            (name, *(str(config.get(field, "")) for field in fields))
            for name, config in configs.items()
        ],
    )


def _numbers(values, epochs, sizes):
    columns = list(dict.fromkeys(key for run in values.values() for key in run))
    short = [column.removeprefix("labelfree ") for column in columns]
    rows = []
    for name, run in values.items():
        cells = [
            _cell(column, run, sizes.get(column, {}).get(name)) for column in columns
        ]
        rows.append((name, *epochs[name], *cells))
    return table(("run", "epochs", "evaluated at", *short), rows)


def _cell(column, run, size):
    if column not in run:
        return ""
    metric = column.partition(" ")[2]  # After the evaluator's name.
    number = f"{100 * run[column]:.2f}" if is_share(metric) else f"{run[column]:.4g}"
    return f"{number} ({size} px)" if size else number


def _ranking(score, values):
    """Ranks the runs that have the score, at least one, and names the others."""
    scored: dict[str, Mapping[str, float]] = {}
    errors: list[str] = []
    for name, run in values.items():
        try:
            ranking.goodness(score, {name: run})
            scored[name] = run
        except UsageError as error:
            errors.append(f"not ranked: {error}")
    if not scored:
        raise UsageError(errors[0].removeprefix("not ranked: "))
    good = dict(zip(scored, ranking.goodness(score, scored), strict=True))
    order = sorted(scored, key=lambda name: -good[name])
    rows = [
        (str(place), name, f"{good[name]:.4g}") for place, name in enumerate(order, 1)
    ]
    return "\n".join([table(("place", f"run, by {score}", "score"), rows), *errors])
