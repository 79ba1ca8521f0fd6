"""What pretraining is worth to a detector: mAP from pretrained and from random weights.

python -m examples.detection --module runs/demo/module
python -m examples.detection --module module/ --data tfds:voc/2007
"""

import sys

from absl import flags

from bt_keras import UsageError
from bt_keras.cli import start
from bt_keras.errors import one_line

# What the flags are by default. `None` images are all of a split.
_SHIPPED = {
    "train_split": "train",
    "test_split": "test",
    "train_images": 500,
    "test_images": 200,
    "size": 128,
    "steps": 400,
    "batch_size": 16,
    "learning_rate": 2e-3,
}
_TFDS = {
    "train_split": "train",
    "test_split": "validation",
    "train_images": None,
    "test_images": None,
    "size": 256,
    "steps": 10_000,
    "batch_size": 16,
    "learning_rate": 1e-3,
}
_QUICK = {
    "train_images": 16,
    "test_images": 8,
    "size": 64,
    "steps": 20,
    "batch_size": 4,
}
_HELP = {
    "train_split": "The split to train on, or a part of one: train[:500].",
    "test_split": "The split to compute mAP on.",
    "train_images": "How many images to train on (shipped: canvases to make).",
    "test_images": "How many images to compute mAP on.",
    "size": "The sides of the square images in pixels, a multiple of 32.",
    "steps": "Training steps, a multiple of 10.",
    "batch_size": "Images a step.",
    "learning_rate": "Adam's, after the warm-up.",
}
_SMALLEST_CANVAS = 64
_INITIALISATIONS = ("random", "pretrained")


def main(argv=None):
    """Runs the comparison; returns the exit status."""
    try:
        run(*parse(sys.argv if argv is None else argv))
    except (UsageError, flags.Error) as error:
        reason = one_line(error, None)
        print(f"examples.detection: error: {reason}", file=sys.stderr)
        return 2
    return 0


def parse(argv):
    """Returns (flags, dict of the settings that have a default)."""
    values = flags.FlagValues()
    text, every = flags.DEFINE_string, {"flag_values": values}
    text("module", None, "The exported backbone: a folder or a handle.", **every)
    text("data", "shipped", "shipped, tfds:NAME or a TFDS folder.", **every)
    flags.DEFINE_list("seeds", "0", "Each trains once from both weights.", **every)
    flags.DEFINE_list(
        "init", list(_INITIALISATIONS), "Which weights to begin with.", **every
    )
    flags.DEFINE_bool("quick", False, "Only to see that it runs: tiny.", **every)
    flags.DEFINE_bool("help", False, "Show this.", short_name="h", **every)
    for name, default in _SHIPPED.items():
        note = f"{_HELP[name]} Default: {default}; TFDS: {_TFDS[name] or 'all'}."
        if isinstance(default, str):
            text(name, None, note, **every)
        elif isinstance(default, float):
            flags.DEFINE_float(name, None, note, lower_bound=0.0, **every)
        else:
            flags.DEFINE_integer(name, None, note, lower_bound=1, **every)
    if {"--help", "-h"} & set(argv[1:]):
        print(__doc__ + values.get_help())
        raise SystemExit(0)
    rest = values(argv)[1:]
    if rest:
        raise UsageError(f"{rest[0]!r} is not a flag.")
    return values, _settings(values)


def _settings(values):
    _check(values)
    settings = dict(_SHIPPED if values.data == "shipped" else _TFDS)
    settings |= _QUICK if values.quick else {}
    given = {name: values[name].value for name in settings}
    settings |= {name: value for name, value in given.items() if value is not None}
    if values.data == "shipped" and settings["size"] < _SMALLEST_CANVAS:
        raise UsageError(
            f"--size={settings['size']} is too small for the shipped objects: give at "
            f"least {_SMALLEST_CANVAS}."
        )
    return settings


def _check(values):
    if not values.module:
        raise UsageError("--module is missing: the folder that an export wrote.")
    wrong = [seed for seed in values.seeds if not seed.isdecimal()]
    if wrong or not values.seeds:
        raise UsageError(f"--seeds are numbers such as 0,1,2, not {wrong}.")
    wrong = [name for name in values.init if name not in _INITIALISATIONS]
    if wrong or not values.init:
        raise UsageError(f"--init is {' and '.join(_INITIALISATIONS)}, not {wrong}.")


def run(values, settings):
    """Trains from every initialisation with every seed, and prints mAP."""
    start.tensorflow()
    from examples.detection import datasets, model, report, training

    model.check(values.module, settings["size"])
    rows = []
    test = datasets.load(values.data, "test", seed=0, settings=settings)
    for seed in map(int, values.seeds):
        train = datasets.load(values.data, "train", seed=seed, settings=settings)
        for name in values.init:
            print(f"{name} weights, seed {seed}", flush=True)
            detector, losses = training.train(
                values.module, name == "pretrained", train, seed, settings
            )
            precision = training.judge(detector, test)
            rows.append({"init": name, "seed": seed, "losses": losses, **precision})
            print(report.line(rows[-1]), flush=True)
    print()
    print(report.table(rows))
    return rows


if __name__ == "__main__":
    sys.exit(main())
