"""How well scores without labels agree with accuracies: 24 small runs.

python -m benchmarks.scores --out runs/scores

The runs differ in lambda, the learning rate, the smallest crop and the width of the
projector. A queue makes them (`bt-keras study`): the same command continues it.
"""

import argparse
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
    _tables({n: o for n, o in outcomes.items() if o and o.status == FINISHED})


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


def _tables(outcomes):
    runs = {name: outcome.values for name, outcome in outcomes.items()}
    columns = (*_ACCURACIES, *sorted(k for k in _all(runs) if "labelfree" in k))
    table.line(["run", *(c.removeprefix("labelfree ") for c in columns), "seconds"])
    table.line(["---"] * (len(columns) + 2))
    for name, outcome in outcomes.items():
        numbers = [f"{outcome.values[column]:.4g}" for column in columns]
        table.line([name, *numbers, f"{outcome.seconds:.0f}"])
    if len(runs) < 3:
        return
    for accuracy in _ACCURACIES:
        measured = np.array([values[accuracy] for values in runs.values()])
        print(
            f"\n{len(runs)} runs, {accuracy}: best {100 * measured.max():.2f} %, mean "
            f"{100 * measured.mean():.2f} %, worst {100 * measured.min():.2f} %\n"
        )
        table.line(["score", "Kendall's tau", "p", "regret, points"])
        table.line(["---"] * 4)
        for score, tau, p, regret in ranking.agreement(runs, accuracy):
            table.line([score, f"{tau:.2f}", f"{p:.2g}", f"{100 * regret:.2f}"])


def _all(runs):
    return {key for values in runs.values() for key in values}


if __name__ == "__main__":
    main()
