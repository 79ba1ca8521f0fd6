"""A study in a folder: its queue, and the table and the plot of what has ended."""

from __future__ import annotations

import os

from bt_keras.errors import UsageError
from bt_keras.files import atomic
from bt_keras.studies import plot
from bt_keras.studies.queue import Queue
from bt_keras.studies.scales import EVALUATIONS, MOST_SEEDS, Scale, configs, run_name
from bt_keras.studies.study import Study
from bt_keras.studies.study_table import study_table

_ADVICE = "take another folder with --out"


def open_queue(study: Study, scale: Scale, out: str | os.PathLike) -> Queue:
    """Returns the queue of a folder, which holds runs of this study or nothing.

    Args:
        study: `Study`.
        scale: `Scale`.
        out: Path of the folder, which may not exist yet.

    Raises:
        UsageError: If the folder holds anything else.
    """
    queue = Queue(out)
    names = queue.names()
    if foreign := sorted(set(names) - _possible_names(study)):
        raise UsageError(
            f"queue {queue.path} has a run {foreign[0]!r}, which is not of study "
            f"{study.name}: {_ADVICE}."
        )
    if not names:
        # A process that was killed may have left a part of the first entry.
        atomic.check_empty(queue.path, _ADVICE, ignore="entries")
    for seed in range(MOST_SEEDS):
        if any(name.startswith(run_name(seed, "")) for name in names):
            for name, config in configs(study, scale, seed):
                if name in names:
                    queue.add(name, config, EVALUATIONS)  # Raises if it differs.
    return queue


def _possible_names(study):
    return {
        run_name(seed, variant.name)
        for seed in range(MOST_SEEDS)
        for variant in study.variants
    }


def add_runs(queue: Queue, study: Study, scale: Scale, seeds: int) -> None:
    """Adds the runs of a study to its queue; those that are there stay.

    Args:
        queue: `Queue`, as `open_queue` returns it.
        study: `Study`.
        scale: `Scale`.
        seeds: Integer > 0, the number of seeds.
    """
    # All before the first is added: a config may be an error.
    runs = [run for seed in range(seeds) for run in configs(study, scale, seed)]
    for name, config in runs:
        queue.add(name, config, EVALUATIONS)


def write_results(queue: Queue, study: Study, scale: Scale) -> str:
    """Writes table.md and plot.png into the queue's folder.

    Args:
        queue: `Queue` with runs.
        study: `Study`.
        scale: `Scale`.

    Returns:
        String, the table, and a line if there is no plot.

    Raises:
        UsageError: If the queue has no runs, or cannot be read or written.
    """
    queue.require_runs()
    outcomes = {name: queue.outcome(name) for name in queue.names()}
    text = study_table(study, scale.title, outcomes)
    with atomic.atomic_file(queue.path / "table.md", replace=True) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    if not plot.is_available():
        return text + "\nno plot: pip install 'bt-keras[plot]' installs matplotlib\n"
    plot.plot_study(study, outcomes, scale.title, queue.path / "plot.png")
    return text
