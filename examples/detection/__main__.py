"""Compares the mAP of a detector with pretrained and with random weights.

python -m examples.detection --module runs/demo/module
python -m examples.detection --module module/ --data tfds:voc/2007
"""

import sys

from absl import flags

from bt_keras import UsageError
from bt_keras.cli import start
from bt_keras.errors import one_line

# Defaults of the flags. `None` images are all images of the split.
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
    "train_split": "Split to train on, or a part of it: train[:500].",
    "test_split": "Split to compute mAP on.",
    "train_images": "Number of training images (shipped: of canvases to make).",
    "test_images": "Number of test images.",
    "size": "Side of the square images in pixels, a multiple of 32.",
    "steps": "Number of training steps, a multiple of 10.",
    "batch_size": "Images per training step.",
    "learning_rate": "Peak learning rate of Adam, after warmup.",
}
_MIN_CANVAS = 64
_INITIALIZATIONS = ("random", "pretrained")


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
    """Returns (flags, dict of the settings with defaults)."""
    values = flags.FlagValues()
    text, every = flags.DEFINE_string, {"flag_values": values}
    text("module", None, "Exported backbone: a folder or a handle.", **every)
    text(
        "data",
        "shipped",
        "Data: shipped, tfds:NAME or a folder in TFDS format.",
        **every,
    )
    flags.DEFINE_list("seeds", "0", "Seeds of the trainings, such as 0,1,2.", **every)
    flags.DEFINE_list("init", list(_INITIALIZATIONS), "Weights to start from.", **every)
    flags.DEFINE_bool("quick", False, "Check that it runs: tiny.", **every)
    flags.DEFINE_bool(
        "help", False, "Print this help and exit.", short_name="h", **every
    )
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
    if values.data == "shipped" and settings["size"] < _MIN_CANVAS:
        raise UsageError(
            f"--size={settings['size']} is too small for the shipped objects: use at "
            f"least {_MIN_CANVAS}."
        )
    return settings


def _check(values):
    if not values.module:
        raise UsageError("--module is missing: pass the folder of an exported module.")
    wrong = [seed for seed in values.seeds if not seed.isdecimal()]
    if wrong or not values.seeds:
        raise UsageError(f"--seeds must be numbers such as 0,1,2, not {wrong}.")
    wrong = [name for name in values.init if name not in _INITIALIZATIONS]
    if wrong or not values.init:
        names = " or ".join(_INITIALIZATIONS)
        raise UsageError(f"--init must be {names} or both, not {wrong}.")


def run(values, settings):
    """Trains with every initialization and seed, and prints mAP."""
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
            precision = training.evaluate(detector, test)
            rows.append({"init": name, "seed": seed, "losses": losses, **precision})
            print(report.line(rows[-1]), flush=True)
    print()
    print(report.table(rows))
    return rows


if __name__ == "__main__":
    sys.exit(main())
