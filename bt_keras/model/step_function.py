"""What `fit` and `evaluate` run: a step on every replica, whatever the strategy.

Keras 3's own functions fail under `MultiWorkerMirroredStrategy`, where they take the
mean of a scalar along its first axis (keras-team/keras issue 20585). These serve every
strategy, and on a TPU, where the loop over `steps_per_execution` has to be inside the
compiled function.
"""

import itertools

import tensorflow as tf

_ITERATORS = tf.data.Iterator | tf.distribute.DistributedIterator


def step_function(model, step):
    """Makes of a step on one replica's data what `fit` or `evaluate` calls.

    Args:
        model: `bt_keras.BarlowTwins`, compiled: its strategy, `run_eagerly`,
            `jit_compile` and `steps_per_execution` decide.
        step: function of one element of the dataset, this replica's part, that returns
            a dict of scalars, the same on every replica; `model.train_step` or
            `model.test_step`.

    Returns:
        A function of an iterator that takes `steps_per_execution` elements out of it
        and returns the means of the epoch so far, a dict of float32 scalars. It ends
        an epoch as iterators do, by `StopIteration` or `OutOfRangeError`.
    """
    strategy, count = model.distribute_strategy, model.steps_per_execution
    if model.jit_compile and not model.run_eagerly:
        # Inside `run`: on a TPU the function around it is the host's.
        step = tf.function(step, jit_compile=True, autograph=False)

    def one_step(data):
        logs = strategy.run(step, args=(data,))
        # All replicas return the global batch's: any will do.
        model.track(
            {k: strategy.experimental_local_results(v)[0] for k, v in logs.items()}
        )

    if not model.run_eagerly:
        one_step = tf.function(one_step, autograph=False, reduce_retracing=True)

    @tf.function(autograph=False, reduce_retracing=True)
    def one_of(iterator):
        one_step(next(iterator))

    @tf.function(autograph=False, reduce_retracing=True)
    def up_to_count_of(iterator):
        def body(number, element):
            one_step(element.get_value())
            go_on = number + 1 < count
            following = tf.cond(go_on, iterator.get_next_as_optional, lambda: element)
            return number + 1, following

        # An iterator that ended in the middle of a loop would cancel the step before.
        return tf.while_loop(
            lambda number, element: tf.logical_and(number < count, element.has_value()),
            body,
            [tf.constant(0), iterator.get_next_as_optional()],
            parallel_iterations=1,
        )[0]

    def function(iterator):
        compiled = isinstance(iterator, _ITERATORS) and not model.run_eagerly
        if not compiled:  # `train_on_batch` has a generator of one element.
            _loop(one_step, itertools.islice(iterator, count))
        elif count == 1:
            one_of(iterator)
        elif not up_to_count_of(iterator):
            raise StopIteration
        return {tracker.name: tracker.result() for tracker in model.metrics}

    return function


def _loop(one_step, elements):
    empty = True
    for data in elements:
        one_step(data)
        empty = False
    if empty:
        raise StopIteration
