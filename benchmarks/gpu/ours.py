"""Our side: the step of `fit`, its feeding, the loss, replicas and float16."""

import itertools
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf

import bt_keras
from benchmarks import inputs
from benchmarks.gpu import card, cases, pieces
from benchmarks.gpu.side import Side
from bt_keras.model import both_views

_GPUS = tf.config.list_physical_devices("GPU")


def _synchronize():
    """Waits for the device: `tf.function`s return before their kernels end."""
    if _GPUS:
        tf.test.experimental.sync_devices()


def _peak():
    if not _GPUS:
        return None
    names = [
        d.name.removeprefix("/device:") for d in tf.config.list_logical_devices("GPU")
    ]
    peak = sum(tf.config.experimental.get_memory_info(name)["peak"] for name in names)
    for name in names:
        tf.config.experimental.reset_memory_stats(name)
    return peak


side = Side(_synchronize, _peak)


def _model(case, policy="mixed_bfloat16", stack=None, **compiled):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    backbone = bt_keras.resnet(case["depth"], case["scale"], case["stem"])
    model = bt_keras.BarlowTwins(backbone, (case["width"],) * 3)
    optimizer = bt_keras.LARS(1e-4, bias_learning_rate=1e-5)
    model.compile(optimizer=optimizer, **compiled)
    if stack is not None:
        model.stacks = both_views.VIEWS if stack else None
    model.make_train_function()
    return model


def _views(case):
    shape = case["batch"], case["size"], case["size"], 3
    return tuple(tf.random.normal(shape) for _ in range(2))


def _resident(model, views):
    """Returns a function of a number of steps on views that are on the device."""
    iterator = itertools.repeat(views)

    def run(steps):
        for _ in range(steps):
            logs = model.train_function(iterator)
        float(logs["loss"])

    return run


class _Rounds(keras.callbacks.Callback):
    """Measures rounds of steps inside one `fit`, whose pipeline runs all the time.

    Args:
        lead_in: Float, seconds of steps before the first round, in which `tf.data`
            finds its number of threads.
        steps: Integer, steps per round; at least one call of the step function.
        rounds: Integer.
    """

    def __init__(self, lead_in, steps, rounds):
        super().__init__()
        self._lead_in, self._steps, self._rounds = lead_in, steps, rounds
        self.times, self._done, self._begin = [], 0, None

    def on_train_batch_end(self, batch, logs=None):
        if self._begin is None:  # The first step may have been compiled.
            self._begin = time.perf_counter()
        self._done += self.model.steps_per_execution
        if not self.times and time.perf_counter() - self._begin < self._lead_in:
            self._done = 0
        elif not self.times or self._done >= self._steps:
            _synchronize()
            self._steps = max(self._steps, self._done)
            self.times.append(time.perf_counter())
            self._done = 0
        self.model.stop_training = len(self.times) > self._rounds

    @property
    def seconds(self):
        return [(b - a) / self._steps for a, b in itertools.pairwise(self.times)]


def _measure_fit(model, dataset, name, case, steps=12, lead_in=2.0, note=""):
    rounds = _Rounds(0.1, 2, 2) if side.quick else _Rounds(lead_in, steps, 3)
    model.fit(dataset, verbose=0, callbacks=[rounds])
    side.row(name, rounds.seconds, case["batch"], note)


def resnet50():
    case = cases.network(cases.RESNET50, side.quick)
    model = _model(case)
    run = _resident(model, _views(case))
    first = side.first(run)
    run(3)
    name = cases.name(case)
    note = f"first step {first:.0f} s"
    side.row(f"{name}, step", side.time(run), case["batch"], note)
    views = tf.nest.map_structure(lambda v: v.numpy(), _views(case))
    host = tf.data.Dataset.from_tensors(views).repeat()
    _measure_fit(model, host, f"{name}, fit on views of the host", case)
    _fit_on_jpegs(model, case)


def finished():
    case = cases.network(cases.RESNET50, side.quick)
    _fit_on_jpegs(_model(case), case, finish_on_device=True)


def _fit_on_jpegs(model, case, finish_on_device=False):
    name = f"{cases.name(case)}, fit on pairs of JPEG files"
    if finish_on_device:
        name += ", finished on the device"
    views = bt_keras.views(case["size"], finish_on_device=finish_on_device)
    with tempfile.TemporaryDirectory() as folder:
        inputs.write_jpegs(pathlib.Path(folder), 32 if side.quick else 512)
        pairs = bt_keras.pairs(folder, views, case["batch"], endless=True)
        _measure_fit(model, pairs, name, case, lead_in=10.0)


def resnet18(policy="mixed_bfloat16"):
    case = cases.network(cases.RESNET18, side.quick)
    model = _model(case, policy)
    run = _resident(model, _views(case))
    first = side.first(run)
    run(3)
    name = cases.name(case) + ", float16" * (policy == "mixed_float16")
    note = f"first step {first:.0f} s"
    side.row(f"{name}, step", side.time(run, steps=50), case["batch"], note)
    if policy == "mixed_bfloat16":
        pairs = _small_pairs(case)
        _measure_fit(model, pairs, f"{name}, fit on pairs in memory", case, lead_in=5.0)


def _small_pairs(case):
    images = np.random.default_rng(0).integers(0, 256, (5000, 32, 32, 3), "uint8")
    return bt_keras.pairs(
        tf.data.Dataset.from_tensor_slices(images),
        bt_keras.views(case["size"], "small"),
        case["batch"],
        endless=True,
    )


def executions():
    """Measures `fit` with several steps per call, with steps of some milliseconds."""
    case = cases.network(cases.RESNET18, side.quick)
    case["batch"] //= 2
    for count in (1, 8):
        model = _model(case, steps_per_execution=count)
        name = f"{cases.name(case)}, fit, steps_per_execution={count}"
        _measure_fit(model, _small_pairs(case), name, case, steps=96, lead_in=5.0)


def unstacked():
    case = cases.network(cases.RESNET50, side.quick)
    run = _resident(_model(case, stack=False), _views(case))
    first = side.first(run)
    run(3)
    name = f"{cases.name(case)}, step, one view after the other"
    side.row(name, side.time(run), case["batch"], f"first step {first:.0f} s")


def cached():
    """Measures the first step of a process with XLA's persistent cache."""
    filled = any(pathlib.Path(side.values.cache).iterdir())
    case = cases.network(cases.RESNET50, side.quick)
    model = _model(case, jit_compile=True)
    run = _resident(model, _views(case))
    first = side.first(run)
    run(3)
    process = "second" if filled else "first"
    name = f"{cases.name(case)}, step, {process} process with XLA's cache"
    side.row(name, side.time(run), case["batch"], f"first step {first:.1f} s")


def replicas():
    _split_device(side.values.replicas)
    case = cases.network(cases.RESNET50, side.quick)
    strategy = tf.distribute.MirroredStrategy()
    with strategy.scope():
        model = _model(case)
    views = tf.nest.map_structure(lambda v: v.numpy(), _views(case))
    dataset = tf.data.Dataset.from_tensors(views).repeat()
    first = side.first(lambda steps: model.fit(dataset, steps_per_epoch=1, verbose=0))
    count = strategy.num_replicas_in_sync
    reduction = type(strategy.extended._get_cross_device_ops(tf.zeros(()))).__name__
    name = f"{cases.name(case)}, fit, {count} replicas on one device"
    note = f"first step {first:.0f} s, {reduction}"
    _measure_fit(model, dataset, name, case, steps=8, note=note)


def deterministic():
    """Trains twice and compares the bits of all weights."""
    tf.config.experimental.enable_op_determinism()
    case = cases.network(cases.RESNET50, side.quick)
    case |= {"depth": 18, "scale": 0.25, "size": 64, "batch": 32}
    ends = []
    for _ in range(2):
        model = _model(case)
        views = _views(case)
        run = _resident(model, views)
        seconds = side.time(run, steps=5, rounds=1)
        ends.append(b"".join(np.asarray(w.numpy()).tobytes() for w in model.weights))
    equal = "equal" if ends[0] == ends[1] else "DIFFERENT"
    side.row("two runs with deterministic operations", seconds, note=f"{equal} bits")


def _split_device(count):
    """Makes logical devices; TensorFlow must not have used the device yet."""
    device = (_GPUS or tf.config.list_physical_devices("CPU"))[0]
    memory = {"memory_limit": card.memory_of_each(count)} if _GPUS else {}
    parts = [tf.config.LogicalDeviceConfiguration(**memory) for _ in range(count)]
    tf.config.set_logical_device_configuration(device, parts)


if __name__ == "__main__":
    side.serve(
        {
            "resnet50": (resnet50, 120),
            "losses": (lambda: pieces.losses(side), 30),
            "pooling": (lambda: pieces.pooling(side), 20),
            "resnet18": (resnet18, 60),
            "float16": (lambda: resnet18("mixed_float16"), 45),
            "finished": (finished, 110),
            "unstacked": (unstacked, 75),
            "deterministic": (deterministic, 60),
            "replicas": (replicas, 90),
            "cached": (cached, 90),
            "executions": (executions, 150),
        }
    )
