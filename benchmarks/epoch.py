"""An epoch of configs/cifar10.py with AdamW as a whole process, from start to end.

python -m benchmarks.epoch --data tfds:cifar10

Compares `bt-keras pretrain` with the same training with lightly's loss and
torchvision's views. Both include imports, compilation and saving the weights.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import children, machine, options, table, turns
from bt_keras import config as config_lib

_RECIPE = "benchmarks/ours/epoch_recipe.py"
_QUICK_STEPS = 2
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def main():
    values = options.parse(_parser())
    if os.path.isdir(values.data):
        values.data = os.path.abspath(values.data)
    steps = values.steps or (_QUICK_STEPS if values.quick else None)
    machine.describe(values.peer_python)
    name = f"an epoch, {values.precision}" + (f", {steps} steps" if steps else "")
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        split = f"train[:{steps * _config().batch_size}]" if steps else "train"
        _write_images(values, split, images)
        commands = {
            "bt_keras": lambda workdir: _ours(values, split, workdir),
            "torch, lightly": lambda workdir: _peer(values, images, workdir),
        }
        results = _take_turns(commands, values, Path(folder))
    table.header()
    table.rows(name, results, table.SECONDS)


def _parser():
    precision = "bfloat16" if machine.has_bfloat16() else "float32"
    made = options.parser(__doc__, rounds=3, cases=False)
    made.set_defaults(patience=3600)
    made.add_argument(
        "--data",
        default="tfds:cifar10",
        help="source of CIFAR-10, such as a folder in TFDS format",
    )
    made.add_argument(
        "--steps",
        type=options.positive(int),
        help="number of training steps; defaults to a whole epoch",
    )
    made.add_argument(
        "--precision", choices=_POLICIES, default=precision, help="of both sides"
    )
    return made


def _config():
    return config_lib.load(_RECIPE)


def _write_images(values, split, path):
    """Writes the data set as an array, for the peer to read the same images."""
    command = [sys.executable, "-m", "benchmarks.ours.images"]
    command += [values.data, split, str(path)]
    failure = children.run(command, values.patience)[-1]
    if failure:
        options.fail(f"--data {values.data}: {failure}")


def _ours(values, split, workdir):
    fields = {
        "data.source": values.data,
        "data.train_split": split,
        "precision": _POLICIES[values.precision],
    }
    command = [sys.executable, "-m", "bt_keras.cli", "pretrain", "--config", _RECIPE]
    command += ["--workdir", str(workdir)]
    return command + [f"--config.{field}={value}" for field, value in fields.items()]


def _peer(values, images, workdir):
    config = _config()
    case = {
        "images": str(images),
        "weights": f"{workdir}.pt",
        "precision": values.precision,
        "depth": config.backbone.depth,
        "width": config.backbone.width,
        "stem": config.backbone.stem,
        "projector": list(config.projector),
        "lambd": config.lambd,
        "size": config.views.size,
        "recipe": config.views.recipe,
        "batch": config.batch_size,
        "rate": config.optimizer.learning_rate,
        "weight_decay": config.optimizer.options.weight_decay,
    }
    return [values.peer_python, "-m", "benchmarks.peers.epoch", json.dumps(case)]


def _take_turns(commands, values, folder):
    results = {name: turns.Result(name) for name in commands}
    for number in range(values.rounds):
        for index, (name, command) in enumerate(commands.items()):
            workdir = folder / f"{index}-{number}"
            turns.one_run(results[name], command(workdir), values.patience)
    return list(results.values())


if __name__ == "__main__":
    main()
