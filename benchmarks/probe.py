"""The learning rate of `OnlineLinearProbe`, and its cost, by the width of the features.

python -m benchmarks.probe --module MODULE

The features of a module's images, as they are and widened by a random layer with ReLU,
pass through `fit` of a model that does not change them: only the probe learns. Its
accuracy on the test images stands beside that of the linear probe of `bt-keras evaluate
--protocol=cached` on the same features. The cost is the difference between the median
steps with and without the probe.
"""

import argparse
import statistics
import types
from typing import Any

import numpy as np

from benchmarks import machine, options, table

_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
_WIDTHS = (0, 512, 2048)
_BATCH = 256
_STEPS = 30


def main():
    values = _parser().parse_args()
    if values.quick:
        values.epochs, values.split = 1, "[:512]"
    machine.describe()
    train, test, num_classes = _features(values)
    columns = ["width", "epochs", *(f"rate {rate:g}" for rate in _RATES)]
    table.line([*columns, "linear probe afterwards", "step of the probe"])
    table.line(["---"] * (len(columns) + 2))
    for width in _WIDTHS[:2] if values.quick else _WIDTHS:
        rows, held_out = _widened(train, test, width)
        found = [
            _online(rows, held_out, num_classes, rate, values.epochs) for rate in _RATES
        ]
        cells = [f"{100 * accuracy:.1f}" for accuracy in found]
        after = 100 * _afterwards(rows, held_out, num_classes, values)
        cost = f"{1e3 * _cost(rows, num_classes, values):.1f} ms"
        shown = rows[0].shape[1]
        table.line([shown, values.epochs, *cells, f"{after:.1f}", cost])


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--module", required=True, help="exported backbone")
    add("--source", default="shipped", help="images with labels")
    add("--split", default="", metavar="[:N]", help="part of the training images")
    add("--size", type=options.positive(int), default=56, help="of the images")
    add("--epochs", type=options.positive(int), default=5, help="of the online probe")
    add("--quick", action="store_true", help="check that it runs: tiny and once")
    return parser


def _features(values):
    """Returns (features, labels) of both splits, and the number of classes."""
    import keras

    import bt_keras
    from bt_keras import data

    backbone = bt_keras.load_backbone(values.module)
    resize = keras.layers.Resizing(values.size, values.size)
    splits = []
    for split in (f"train{values.split}", "test"):
        source = data.load(values.source, split=split)
        images, labels = zip(*source.dataset().as_numpy_iterator(), strict=True)
        batches = np.array_split(np.stack(images), max(1, len(images) // _BATCH))
        rows = [
            backbone.predict(np.float32(resize(b)) / 255.0, verbose=0) for b in batches
        ]
        splits.append((np.concatenate(rows), np.array(labels)))
    return *splits, source.num_classes


def _widened(train, test, width):
    """Widens features by a random layer with ReLU, as if a wider network made them."""
    if not width:
        return train, test
    generator = np.random.default_rng(0)
    own = train[0].shape[1]
    kernel = generator.normal(scale=own**-0.5, size=(own, width)).astype("float32")
    mean, deviation = train[0].mean(axis=0), train[0].std(axis=0) + 1e-6

    def widen(features):
        return np.maximum((features - mean) / deviation @ kernel, 0.0)

    return (widen(train[0]), train[1]), (widen(test[0]), test[1])


def _model(width):
    import keras

    import bt_keras

    # A factor of 1 for each feature: a backbone needs weights.
    factors = keras.layers.EinsumDense("nf,f->nf", (width,), kernel_initializer="ones")
    backbone = keras.Sequential([keras.Input((width,)), factors])
    model = bt_keras.BarlowTwins(backbone, projector=(8,))
    model.compile(keras.optimizers.SGD(0.0))
    return model


def _batches(rows, repeat=1):
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices(rows)
    rows = rows.shuffle(len(rows), seed=0).repeat(repeat)
    batches = rows.batch(_BATCH, drop_remainder=True)
    return batches.map(lambda features, labels: ((features, features), labels))


def _online(train, test, num_classes, rate, epochs):
    """Returns the accuracy of the probe after some epochs."""
    import keras

    import bt_keras

    keras.utils.set_random_seed(0)
    probe = bt_keras.callbacks.OnlineLinearProbe(num_classes, rate, validation=test)
    history = _model(train[0].shape[1]).fit(
        _batches(train), epochs=epochs, verbose=0, callbacks=[probe]
    )
    return history.history["val_probe_top1"][-1]


def _afterwards(train, test, num_classes, values):
    """Returns the accuracy of the linear probe of `bt-keras evaluate`."""
    from bt_keras.evaluation.cached_linear_probe import CachedLinearProbe
    from bt_keras.evaluation.features import Features

    frozen: Any = types.SimpleNamespace(
        train=Features(*train),
        test=Features(*test),
        num_classes=num_classes,
        train_source=types.SimpleNamespace(num_images=len(train[1])),
    )
    probe = CachedLinearProbe(epochs=1 if values.quick else 100)
    return probe.test(probe.train(frozen), frozen)["top1"]


def _cost(train, num_classes, values):
    """Returns the median time that the probe adds to a step."""
    import bt_keras
    from benchmarks.clock import StepClock

    medians = []
    steps = 4 if values.quick else _STEPS
    for callbacks in ([], [bt_keras.callbacks.OnlineLinearProbe(num_classes)]):
        clock = StepClock()
        endless = _batches(train, repeat=None)
        _model(train[0].shape[1]).fit(
            endless, steps_per_epoch=steps, verbose=0, callbacks=[*callbacks, clock]
        )
        medians.append(statistics.median(clock.seconds[2:]))
    return medians[1] - medians[0]


if __name__ == "__main__":
    main()
