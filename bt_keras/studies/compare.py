"""Several runs side by side: recipes, losses, results, and a ranking by a score."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from bt_keras.evaluation import results as results_file
from bt_keras.evaluation.report import table
from bt_keras.files import reading
from bt_keras.studies import ranking
from bt_keras.studies.queue import differing_fields
from bt_keras.studies.run_values import run_values
from bt_keras.workdir import Workdir

# Fields that do not change what was trained.
_IGNORED = ("data.source", "checkpoint.", "evaluation.", "threads")


def compare(workdirs: Sequence[Workdir], score: str = ranking.DEFAULT) -> str:
    """Lays runs side by side.

    Args:
        workdirs: Sequence of at least two `bt_keras.workdir.Workdir`s.
        score: String, a key of `bt_keras.studies.ranking.SCORES`, which ranks the runs.
            Defaults to
            `bt_keras.studies.ranking.DEFAULT`.

    Returns:
        String: a table of the fields in which the recipes differ, one of the last
        losses and the results, and the ranking, which is left out if no run has been
        evaluated with scores that need no labels.

    Raises:
        UsageError: If the runs cannot be compared: there are fewer than two, they were
            trained or evaluated on different images, or one has no results.
    """
    if len(workdirs) < 2:
        raise UsageError("a comparison needs at least two runs.")
    names = _short_names(workdirs)
    configs = {
        name: config_lib.fields(workdir.config())
        for name, workdir in zip(names, workdirs, strict=True)
    }
    _check_images(dict(zip(names, workdirs, strict=True)), configs)
    values = {}
    for name, workdir in zip(names, workdirs, strict=True):
        values[name] = run_values(workdir)
        if not values[name]:
            raise UsageError(
                f"run {workdir.path} has neither losses nor results: train it, or "
                "leave it out."
            )
    parts = [_recipes(configs), _numbers(values)]
    if any(key.startswith("labelfree ") for run in values.values() for key in run):
        parts.append(_ranking(score, values))
    return "\n\n".join(parts)


def _short_names(workdirs):
    """Returns the names of the folders, or their paths if names occur twice."""
    names = [workdir.path.resolve().name for workdir in workdirs]
    if len(set(names)) == len(names):
        return names
    paths = [str(workdir.path) for workdir in workdirs]
    if twice := [p for p, count in collections.Counter(paths).items() if count > 1]:
        raise UsageError(f"run {twice[0]} is given twice: give each run once.")
    return paths


def _check_images(workdirs, configs):
    """Raises `UsageError` if runs were trained or evaluated on different images."""
    trained = {name: _images(workdirs[name], configs[name]) for name in workdirs}
    _check_equal("trained", trained)
    evaluated: dict[str, dict[str, Any]] = {}
    for name, workdir in workdirs.items():
        for result in results_file.read(workdir.results_file):
            evaluated.setdefault(result.protocol, {})[name] = result.source
    for protocol, sources in evaluated.items():
        # The path of the same folder may differ.
        _check_equal(
            f"evaluated ({protocol})", {n: Path(s).name for n, s in sources.items()}
        )


def _check_equal(how, images: Mapping[str, Any]):
    (first, expected), *others = images.items()
    for name, found in others:
        if found != expected:
            raise UsageError(
                f"runs {first} and {name} cannot be compared: they were {how} on "
                "different images."
            )


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


def _numbers(values):
    columns = list(dict.fromkeys(key for run in values.values() for key in run))
    short = [column.removeprefix("labelfree ") for column in columns]
    return table(
        ("run", *short),
        [
            (name, *(_cell(column, run) for column in columns))
            for name, run in values.items()
        ],
    )


def _cell(column, run):
    if column not in run:
        return ""
    is_accuracy = any(part in ("top1", "top5") for part in column.split())
    return f"{100 * run[column]:.2f}" if is_accuracy else f"{run[column]:.4g}"


def _ranking(score, values):
    good = dict(zip(values, ranking.goodness(score, values), strict=True))
    order = sorted(values, key=lambda name: -good[name])
    rows = [
        (str(place), name, f"{good[name]:.4g}") for place, name in enumerate(order, 1)
    ]
    return table(("place", f"run, by {score}", "score"), rows)
