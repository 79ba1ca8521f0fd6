"""The function that `fit` and `evaluate` call: a step on every replica.

Keras 3's functions fail under `MultiWorkerMirroredStrategy`, where they compute the
mean of a scalar along its first axis (keras-team/keras issue 20585). The ones here work
with every strategy, including TPUs, where the loop over `steps_per_execution` must be
inside the compiled function.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import tensorflow as tf

from bt_keras.distribution import devices
from bt_keras.model import batch_rows

_ITERATORS = tf.data.Iterator | tf.distribute.DistributedIterator


def step_function(model, step: Callable) -> Callable:
    """Wraps a step of one replica into the function that `fit` or `evaluate` calls.

    Args:
        model: `bt_keras.BarlowTwins`, compiled. Its strategy, `run_eagerly`,
            `jit_compile` and `steps_per_execution` apply.
        step: `model.train_step` or `model.test_step`: function from this replica's
            shard of an element of the dataset to a dict of scalars that are equal on
            every replica.

    Returns:
        Function of an iterator that runs `steps_per_execution` steps and returns the
        means of the epoch so far, a dict of float32 scalars. At the end of the epoch it
        raises `StopIteration` or `OutOfRangeError`, like the iterator. Its attribute
        `observers` is the tuple of the model's observers when it was made. Its
        attribute `seconds_waited` is a float, the time for which the steps of all calls
        have waited for the iterator. Its attribute `trace` is a function of the
        `element_spec` of a `tf.data.Dataset`: it traces the graph of the first call,
        which takes seconds, before there is an iterator.
    """
    strategy, count = model.distribute_strategy, model.steps_per_execution
    parts = model.microbatches if step == model.train_step else 1
    checked_rows = batch_rows.RowCheck(model, parts)
    logged: set[str] = set()  # Known as soon as the step is traced.
    if model.jit_compile and not model.run_eagerly:
        # Compiled inside `run`: on a TPU the outer function runs on the host.
        step = tf.function(step, jit_compile=True, autograph=False)

    def one_step(data):
        data = checked_rows(data)
        logs = strategy.run(step, args=(data,))
        logged.update(logs)
        # All replicas return the values of the global batch.
        model.update_metrics(
            {k: strategy.experimental_local_results(v)[0] for k, v in logs.items()}
        )

    if not model.run_eagerly:
        one_step = tf.function(one_step, autograph=False, reduce_retracing=True)

    @tf.function(autograph=False, reduce_retracing=True)
    def run_one(iterator):
        data, waited = _timed(lambda: next(iterator))
        one_step(data)
        return waited

    @tf.function(autograph=False, reduce_retracing=True)
    def run_up_to_count(iterator):
        # `iterator.get_next` at the end of the data would cancel the running step.
        def following():
            return _timed(iterator.get_next_as_optional, lambda data: data.has_value())

        def body(number, element, waited):
            one_step(element.get_value())
            more = number + 1 < count
            element, seconds = tf.cond(
                more, following, lambda: (element, tf.zeros((), tf.float64))
            )
            with tf.device("CPU:0"):
                return number + 1, element, waited + seconds

        number, _, waited = tf.while_loop(
            lambda number, element, _: tf.logical_and(
                number < count, element.has_value()
            ),
            body,
            [tf.constant(0), *following()],
            parallel_iterations=1,
        )
        return number, waited

    def run(iterator):
        compiled = isinstance(iterator, _ITERATORS) and not model.run_eagerly
        if not compiled:  # `train_on_batch` passes a generator.
            _loop(one_step, itertools.islice(iterator, count))
        elif count == 1:
            function.seconds_waited += float(run_one(iterator))
        else:
            number, waited = run_up_to_count(iterator)
            function.seconds_waited += float(waited)
            if not number:
                raise StopIteration

    def trace(element_spec):
        if not model.run_eagerly:
            traced = run_one if count == 1 else run_up_to_count
            traced.get_concrete_function(tf.data.IteratorSpec(element_spec))

    def function(iterator):
        with checked_rows.usage_errors():
            run(iterator)
        trackers = [each for each in model.metrics if each.name in logged]
        return {tracker.name: tracker.result() for tracker in trackers}

    function.observers = model.observers  # type: ignore[attr-defined]
    function.seconds_waited = 0.0  # type: ignore[attr-defined]
    function.trace = trace  # type: ignore[attr-defined]
    return function


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
