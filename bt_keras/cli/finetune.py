"""Train a classifier on the backbone of an exported module.

Trains a linear layer and the backbone on labeled images, with the settings in the
module's config (config.evaluation.finetune; by default the paper's), or only the
linear layer (--freeze; config.evaluation.linear), and measures the accuracy on images
that were held out. The classifier is written as a .keras file with the names of the
classes:

    import bt_keras, keras
    classifier = keras.models.load_model("classifier.keras")
    probabilities = classifier.predict(images)  # (N, H, W, 3) in [0, 1]
    classifier.class_names

Examples:

    bt-keras finetune --module module/ --source photos/ --out classifier.keras
    bt-keras finetune --module module/ --source photos/ --out classifier.keras \\
        --freeze --epochs 20 --savedmodel
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from absl import flags as absl_flags

from bt_keras.cli import faults, flags, image_flags, start
from bt_keras.errors import UsageError

ADVICE = faults.Advice(memory="lower --batch_size")
# Flags that replace an argument of the evaluator.
_SETTINGS = ("epochs", "batch_size", "learning_rate", "head_learning_rate")


def define_flags() -> absl_flags.FlagValues:
    """Returns the command's flags."""
    values = flags.new()
    text = functools.partial(absl_flags.DEFINE_string, flag_values=values)
    text(
        "module",
        None,
        "Exported module with the backbone: a folder, a .tar.gz file, a URL or the "
        "name of a published model.",
    )
    text("out", None, "File of the classifier, which must not exist; ends in .keras.")
    for name in ("module", "out"):
        absl_flags.mark_flag_as_required(name, flag_values=values)
    image_flags.define(values, "Labeled images to train on", "module")
    image_flags.define_splits(
        values,
        "images to train on",
        "images to test on; for images with one split only, see --held_out",
        "module",
    )
    absl_flags.DEFINE_float(
        "held_out",
        None,
        "Share of the training images of every class to hold out for the test, "
        "instead of --test_split. Defaults to 0.2 for images with one split only.",
        1e-6,
        1 - 1e-6,
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        "freeze", False, "Train only the linear layer.", flag_values=values
    )
    absl_flags.DEFINE_bool(
        "savedmodel",
        False,
        "Write a SavedModel, too, which TensorFlow loads without bt_keras: a folder "
        "with the name of --out without .keras. Its signature encoded takes the bytes "
        "of JPEG and PNG files.",
        flag_values=values,
    )
    _define_settings(values)
    return values


def _define_settings(values):
    default = "Defaults to that in the module's config."
    integer = functools.partial(absl_flags.DEFINE_integer, flag_values=values)
    number = functools.partial(absl_flags.DEFINE_float, flag_values=values)
    integer("epochs", None, f"Number of training epochs. {default}", 1, 10**6)
    integer("batch_size", None, f"Images in a training step. {default}", 1, 10**6)
    number(
        "learning_rate",
        None,
        f"Learning rate of the backbone, or with --freeze of the linear layer. "
        f"{default}",
        1e-12,
        1e12,
    )
    number(
        "head_learning_rate",
        None,
        f"Learning rate of the linear layer. Not with --freeze. {default}",
        1e-12,
        1e12,
    )
    integer(
        "seed",
        None,
        f"Seed of the held-out images, the weights, the order and the crops. {default}",
        0,
        2**32 - 1,
    )


def run(arguments: Sequence[str]) -> None:
    """Runs the command."""
    values = define_flags()
    flags.parse(values, arguments)
    _check(values)
    start.tensorflow()

    from bt_keras.evaluation.target import target_from_module
    from bt_keras.evaluation.train_classifier import train_classifier
    from bt_keras.export.export_classifier import check_out, export_classifier

    check_out(values.out, values.savedmodel)
    target = target_from_module(values.module)
    if values.seed is not None:
        target.config.seed = values.seed
    train, test = _open_images(values, target)
    print(f"training on {train.describe()}")
    print(f"testing on {test.describe()}", flush=True)
    settings = {name: values[name].value for name in _SETTINGS}
    trained = train_classifier(
        target,
        train,
        test,
        freeze=values.freeze,
        overrides={name: v for name, v in settings.items() if v is not None},
    )
    print(trained.describe(), flush=True)
    for path in export_classifier(trained, values.out, values.savedmodel):
        print(path)


def _check(values):
    if values.freeze and values.head_learning_rate is not None:
        raise UsageError(
            "--head_learning_rate cannot be used with --freeze: --learning_rate is "
            "that of the linear layer."
        )
    if values.test_split and values.held_out is not None:
        raise UsageError("give --test_split or --held_out, not both.")


def _open_images(values, target):
    from bt_keras.data.from_config import open_source
    from bt_keras.evaluation.labeled_splits import open_labeled

    config = target.config
    image_flags.apply(values, config)
    name = target.source_name(values.source)
    return open_labeled(
        lambda split: open_source(config, split, name),
        values.train_split or config.data.train_split,
        values.test_split,
        values.held_out,
        config.seed,
        config.data.test_split,
    )
