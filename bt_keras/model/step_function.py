"""The function that `fit` and `evaluate` call: a step on every replica.

Keras 3's functions fail under `MultiWorkerMirroredStrategy`, where they compute the
mean of a scalar along its first axis (keras-team/keras issue 20585). The ones here work
with every strategy, including TPUs, where the loop over `steps_per_execution` must be
inside the compiled function.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bt_keras.distribution import devices
from bt_keras.model import batch_rows

_ITERATORS = tf.data.Iterator | tf.distribute.DistributedIterator


class StepFunction:
    """Runs a step on every replica; what `fit` or `evaluate` calls with an iterator.

    A call runs `steps_per_execution` steps and returns the means of the epoch so far, a
    dict of float32 scalars. At the end of the epoch it raises `StopIteration` or
    `OutOfRangeError`, like the iterator.

    Args:
        model: `bt_keras.BarlowTwins`, compiled. Its strategy, `run_eagerly`,
            `jit_compile` and `steps_per_execution` apply.
        step: `model.train_step` or `model.test_step`: function from this replica's
            shard of an element of the dataset to a dict of scalars that are equal on
            every replica.

    Attributes:
        observers: Tuple, the model's observers when the function was made.
        seconds_waited: Float, the time for which the steps of all calls have waited for
            the iterator.
    """

    def __init__(self, model, step: Callable):
        self.observers = model.observers
        self.seconds_waited = 0.0
        self._model = model
        self._count = count = model.steps_per_execution
        parts = model.microbatches if step == model.train_step else 1
        self._checked_rows = batch_rows.RowCheck(model, parts)
        self._logged: set[str] = set()  # Known as soon as the step is traced.
        one_step = _one_step(model, step, self._checked_rows, self._logged)
        self._one_step = one_step
        self._compiled = tf.function(
            lambda iterator: (
                _run_one(one_step, iterator)
                if count == 1
                else _run_up_to_count(one_step, iterator, count)
            ),
            autograph=False,
            reduce_retracing=True,
        )

    def __call__(self, iterator) -> dict[str, tf.Tensor]:
        with self._checked_rows.usage_errors():
            self._run(iterator)
        trackers = [each for each in self._model.metrics if each.name in self._logged]
        return {tracker.name: tracker.result() for tracker in trackers}

    def trace(self, element_spec: Any) -> None:
        """Traces the graph of the first call, which takes seconds.

        Args:
            element_spec: The `element_spec` of a `tf.data.Dataset`.
        """
        if not self._model.run_eagerly:
            self._compiled.get_concrete_function(tf.data.IteratorSpec(element_spec))

    def _run(self, iterator):
        compiled = isinstance(iterator, _ITERATORS) and not self._model.run_eagerly
        if not compiled:  # `train_on_batch` passes a generator.
            _loop(self._one_step, itertools.islice(iterator, self._count))
        elif self._count == 1:
            self.seconds_waited += float(self._compiled(iterator))
        else:
            number, waited = self._compiled(iterator)
            self.seconds_waited += float(waited)
            if not number:
                raise StopIteration


def renewed(
    function: StepFunction | None, model, step: Callable, force: bool
) -> StepFunction:
    """Returns the function of a step, a new one if the old one cannot be used.

    Args:
        function: `StepFunction` so far, or `None`.
        model: `bt_keras.BarlowTwins`, compiled.
        step: See `StepFunction`.
        force: Boolean, whether to make a new one in any case.
    """
    # The graph has the observers with which it was traced.
    if force or function is None or function.observers != model.observers:
        return StepFunction(model, step)
    return function


def chosen_jit_compile(
    jit_compile: bool | str, strategy: tf.distribute.Strategy
) -> bool | str:
    """Returns whether a step is compiled with XLA.

    Args:
        jit_compile: Boolean, or `"auto"` for the devices where XLA is faster.
        strategy: `tf.distribute.Strategy` of the model.
    """
    if jit_compile != "auto":
        return jit_compile
    with strategy.scope():
        return devices.xla_pays()


def _one_step(model, step, checked_rows, logged):
    """Returns the function that runs a step on an element of the dataset.

    It returns the values of the step's logs, and adds their names to the set `logged`.
    """
    strategy = model.distribute_strategy
    if model.jit_compile and not model.run_eagerly:
        # Compiled inside `run`: on a TPU the outer function runs on the host.
        step = tf.function(step, jit_compile=True, autograph=False)

    def one_step(data):
        data = checked_rows(data)
        logs = strategy.run(step, args=(data,))
        logged.update(logs)
        # All replicas return the values of the global batch.
        logs = {k: strategy.experimental_local_results(v)[0] for k, v in logs.items()}
        model.update_metrics(logs)
        return list(logs.values())

    if model.run_eagerly:
        return one_step
    return tf.function(one_step, autograph=False, reduce_retracing=True)


def _run_one(one_step, iterator):
    """Runs one step; returns the seconds for which it waited for its data."""
    data, waited = _timed(lambda: next(iterator))
    # With one thread, the step could run before the clock is read.
    with _after([waited]):
        one_step(data)
    return waited


def _run_up_to_count(one_step, iterator, count):
    """Runs the steps for which there are data, at most `count`.

    Returns:
        Tuple of the number of steps and the seconds for which they waited for data.
    """

    # `iterator.get_next` at the end of the data would cancel the running step.
    def following():
        return _timed(iterator.get_next_as_optional, lambda data: data.has_value())

    def body(number, element, waited):
        with _after([waited]):
            computed = one_step(element.get_value())
        more = number + 1 < count
        # A CPU fetches with the threads that compute: the fetch would seem to wait as
        # long as the step takes.
        with _after(computed):
            element, seconds = tf.cond(
                more, following, lambda: (element, tf.zeros((), tf.float64))
            )
        with tf.device("CPU:0"):
            return number + 1, element, waited + seconds

    number, _, waited = tf.while_loop(
        lambda number, element, _: tf.logical_and(number < count, element.has_value()),
        body,
        [tf.constant(0), *following()],
        parallel_iterations=1,
    )
    return number, waited


def _after(values):
    """Returns a scope whose operations run after `values` are there, for the clock.

    A GPU or TPU computes by itself: there the order would make the host wait for it.
    """
    if devices.is_accelerated() or devices.is_deterministic():  # Without a clock.
        return contextlib.nullcontext()
    return tf.control_dependencies([v for v in values if tf.is_tensor(v)])


def _timed(get, ready: Callable = lambda data: data) -> tuple:
    """Returns what `get` returns, and the seconds until the tensor `ready` is there."""
    if devices.is_deterministic():  # Such graphs have no clock.
        return get(), tf.zeros((), tf.float64)
    # A number on a GPU could be read only after the step.
    with tf.device("CPU:0"):
        start = tf.timestamp()
    with tf.control_dependencies([start]):
        data = get()
    done = tf.nest.flatten(ready(data), expand_composites=True)
    with tf.control_dependencies(done), tf.device("CPU:0"):
        return data, tf.timestamp() - start


def _loop(one_step, elements):
    empty = True
    for data in elements:
        one_step(data)
        empty = False
    if empty:
        raise StopIteration
