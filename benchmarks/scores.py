"""How well scores without labels agree with accuracies: 24 small runs.

python -m benchmarks.scores --out runs/scores

The runs differ in lambda, the learning rate, the smallest crop and the width of the
projector. A queue makes them (`bt-keras study`): the same command continues it, and a
second process with the same --out works on the same runs.
"""

import argparse
import collections
import itertools
import sys

import numpy as np

from benchmarks import machine, options, table
from bt_keras import config as config_lib
from bt_keras.studies import ranking
from bt_keras.studies.queue import FINISHED, Queue
from bt_keras.studies.run_queue import run_queue

_LAMBDAS = (5e-5, 5e-3, 5e-1)
_RATES = (0.05, 0.4)
_CROPS = (0.08, 0.5)
_WIDTHS = (64, 512)
_EVALUATIONS = ("cached", "labelfree")
_ACCURACIES = ("linear_cached top1", "knn top1")


def main():
    values = _parser().parse_args()
    queue = Queue(values.out)
    for name, config in itertools.islice(configs(values.epochs), values.runs):
        queue.add(name, config, _EVALUATIONS)
    machine.describe()
    command = [sys.executable, "-m", "bt_keras.cli", "study", f"--queue={queue.path}"]
    run_queue(queue, lambda name: [*command, f"--entry={name}"])
    outcomes = {name: queue.outcome(name) for name in queue.names()}
    finished = {n: o for n, o in outcomes.items() if o and o.status == FINISHED}
    _print_runs(finished)
    if len(finished) > 2:
        runs = {name: outcome.values for name, outcome in finished.items()}
        alike = _groups(queue, runs)
        for accuracy in _ACCURACIES:
            _print_agreement(runs, alike, accuracy)


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    positive = options.positive(int)
    parser.add_argument("--out", required=True, help="folder of the queue")
    parser.add_argument("--runs", type=positive, default=None, help="only the first")
    parser.add_argument("--epochs", type=positive, default=6)
    return parser


def configs(epochs):
    """Yields the name and the config of each run: seconds on one core."""
    grid = itertools.product(_LAMBDAS, _RATES, _CROPS, _WIDTHS)
    for lambd, rate, crop, width in grid:
        config = config_lib.load("demo")
        config.data.train_split = "train[:3000]"
        config.views.size = 28
        config.views.a.crop_scale = config.views.b.crop_scale = (crop, 1.0)
        config.lambd = lambd
        config.optimizer.learning_rate = rate
        config.projector = (width,) * 3
        config.epochs = epochs
        config.optimizer.warmup_epochs = 0.5
        config.threads = 1
        config.evaluation.linear.epochs = 20
        config.evaluation.labelfree.lidar_images = 300
        config.evaluation.labelfree.augmentations = 10
        yield f"lambda={lambd:g}-rate={rate:g}-crop={crop:g}-width={width}", config


def _groups(queue, runs):
    """Returns the runs in groups of equal lambda and projector."""
    groups = collections.defaultdict(dict)
    for name, values in runs.items():
        config, _ = queue.entry(name)
        groups[config.lambd, tuple(config.projector)][name] = values
    return [group for group in groups.values() if len(group) > 2]


def _print_runs(outcomes):
    keys = {key for outcome in outcomes.values() for key in outcome.values}
    columns = (*_ACCURACIES, *sorted(key for key in keys if "labelfree" in key))
    table.line(["run", *(c.removeprefix("labelfree ") for c in columns), "seconds"])
    table.line(["---"] * (len(columns) + 2))
    for name, outcome in outcomes.items():
        numbers = [f"{outcome.values[column]:.4g}" for column in columns]
        table.line([name, *numbers, f"{outcome.seconds:.0f}"])


def _print_agreement(runs, groups, accuracy):
    measured = np.array([values[accuracy] for values in runs.values()])
    print(
        f"\n{len(runs)} runs, {accuracy}: best {100 * measured.max():.2f} %, mean "
        f"{100 * measured.mean():.2f} %, worst {100 * measured.min():.2f} %; in the "
        f"{len(groups)} groups of equal lambda and projector, the mean is "
        f"{np.mean([_below_best(group, accuracy) for group in groups]):.2f} points "
        "below the best\n"
    )
    columns = ["score", "Kendall's tau", "p", "regret, points"]
    table.line([*columns, "tau in groups", "regret in groups, points"])
    table.line(["---"] * 6)
    inside = [ranking.agreement(group, accuracy) for group in groups]
    for index, (score, tau, p, regret) in enumerate(ranking.agreement(runs, accuracy)):
        row = [score, f"{tau:.2f}", f"{p:.2g}", f"{100 * regret:.2f}"]
        found = np.array([rows[index][1:] for rows in inside])
        if len(found):
            row += [f"{found[:, 0].mean():.2f}", f"{100 * found[:, 2].mean():.2f}"]
        table.line(row)


def _below_best(runs, accuracy):
    """Returns the regret of a random choice, in points."""
    measured = np.array([values[accuracy] for values in runs.values()])
    return 100 * (measured.max() - measured.mean())


if __name__ == "__main__":
    main()
