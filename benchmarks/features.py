"""Features of ImageNet's size: stored, and used by kNN and the cached linear probe.

python -m benchmarks.features

Random features are written as `bt-keras evaluate` writes them, into a temporary folder
(`--folder`, 11 GB), and read from the disk: the file is taken out of the page cache
before each measurement. Memory is the peak of the process's anonymous pages, and the
peak of all its resident pages, which includes those of mapped files.
"""

import argparse
import contextlib
import functools
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, options, processes, table, turns

_PARTS = ("knn", "batches", "probe")
_BLOCK = 2**13  # rows that are written at once
_K = 200
_PRODUCTS = 3  # before kNN, and as many after it
_INTERVAL = 0.05  # seconds between two measurements of the memory


def main():
    values = _parser().parse_args()
    if values.quick:
        values.rows, values.width, values.classes, values.queries = 5000, 64, 10, 100
    needed = values.rows * values.width * np.dtype(values.dtype).itemsize
    free = shutil.disk_usage(values.folder).free
    if needed > free:
        options.fail(
            f"{values.folder} has {table.size(free)} left, {table.size(needed)} are "
            "needed: give --folder, --dtype=float16 or fewer --rows."
        )
    machine.describe()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    print("| case | time | ratio | peak anonymous | peak resident |", flush=True)
    print("| --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(dir=values.folder) as folder:
        _measure(values, Path(folder))


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    positive = options.positive(int)
    add("--rows", type=positive, default=1_281_167, help="number of images")
    add("--width", type=positive, default=2048, help="features of an image")
    add("--classes", type=positive, default=1000)
    add("--queries", type=positive, default=2000, help="test images")
    add("--dtype", choices=("float32", "float16"), default="float32")
    add("--folder", default=tempfile.gettempdir(), help="of the temporary files")
    add("--only", choices=_PARTS, help="besides writing and reading")
    add("--quick", action="store_true", help="check that it runs: tiny")
    return parser


def _measure(values, path):
    from bt_keras.evaluation.cached_linear_probe import CachedLinearProbe
    from bt_keras.evaluation.feature_batches import shuffled_batches
    from bt_keras.evaluation.feature_folder import FeatureFolder
    from bt_keras.evaluation.knn import KNN

    folder = FeatureFolder(path / "features", dtype=values.dtype)

    def stored():
        shape = (values.rows, values.width)
        return folder.features({"split": "random"}, shape, _random(values))

    _row("write, synced", stored)
    [file] = path.glob("features/*/features.npy")

    def measured(name, function, reference=None):
        _forget(file)
        return _row(name, function, reference)

    train, _ = measured("open, every byte checked", stored)
    _, reading = measured("read in blocks", lambda: _drain(train.blocks()))
    measured("mean and deviation", lambda: train.moments, reading)
    frozen: Any = types.SimpleNamespace(
        train=train,
        test=_queries(values),
        num_classes=values.classes,
        train_source=types.SimpleNamespace(num_images=values.rows),
    )
    parts = (values.only,) if values.only else _PARTS
    if "knn" in parts:
        run = functools.partial(_drain, KNN(_K).run(frozen))
        _measure_knn(values, lambda: measured("kNN", run))
    probe = CachedLinearProbe(epochs=1)
    if "batches" in parts:
        steps = -(-values.rows // probe.batch_size)
        batches = shuffled_batches(train, train.moments, probe.batch_size, 0)
        run = functools.partial(_drain, batches.take(steps))
        measured("shuffled batches, one epoch", run, reading)
    if "probe" in parts:
        measured("the cached probe, one epoch", lambda: probe.train(frozen), reading)


def _measure_knn(values, run):
    """Measures kNN, and its matrix products before and after it."""
    products = _products(values)
    _, seconds = run()
    alone = statistics.median(products + _products(values))
    ratio = f"kNN takes {table.number(seconds / alone)}x"
    print(
        f"| its matrix products alone | {table.number(alone)} s | {ratio} |  |  |",
        flush=True,
    )


def _random(values):
    """Returns a function that yields random features and labels."""
    generator = np.random.default_rng(0)

    def compute(first):
        for start in range(first, values.rows, _BLOCK):
            count = min(_BLOCK, values.rows - start)
            features = generator.random((count, values.width), np.float32)
            yield features, generator.integers(0, values.classes, count)

    return compute


def _queries(values):
    from bt_keras.evaluation.features import Features

    generator = np.random.default_rng(1)
    features = generator.random((values.queries, values.width), np.float32)
    return Features(features, generator.integers(0, values.classes, values.queries))


def _products(values):
    """Times the matrix product of all queries and a block, scaled to all blocks."""
    import tensorflow as tf

    from bt_keras.evaluation import neighbors

    rows = min(values.rows, neighbors._BANK_VALUES // values.width)
    queries = tf.random.uniform((values.queries, values.width))
    block = tf.random.uniform((rows, values.width))
    seconds = []
    for _ in range(_PRODUCTS):
        begin = time.perf_counter()
        tf.matmul(queries, block, transpose_b=True)
        seconds.append((time.perf_counter() - begin) * values.rows / rows)
    return seconds


def _forget(file):
    """Takes a file out of the page cache."""
    with file.open("rb") as opened:
        os.fsync(opened)
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _drain(items):
    for _ in items:
        pass


def _row(name, function, reference=None):
    """Runs a function, prints its time and memory, and returns its result and time."""
    turns.say(name)
    processes.reset_peak()
    # The store prints where the features are.
    with _AnonymousPeak() as anonymous, contextlib.redirect_stdout(sys.stderr):
        begin = time.perf_counter()
        result = function()
        seconds = time.perf_counter() - begin
    ratio = f"{table.number(seconds / reference)}x reading" if reference else ""
    memory = f"{table.size(anonymous.peak)} | {table.size(processes.peak())}"
    print(f"| {name} | {table.number(seconds)} s | {ratio} | {memory} |", flush=True)
    return result, seconds


class _AnonymousPeak:
    """Measures the peak of the anonymous pages of this process inside a context."""

    def __enter__(self):
        self.peak, self._ended = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while True:
            self.peak = max(self.peak, processes.anonymous())
            if self._ended.wait(_INTERVAL):
                return


if __name__ == "__main__":
    main()
