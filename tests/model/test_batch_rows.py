"""Batches of too few images, of sizes that are known only when they arrive."""

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from tests.models import tiny

STEPS = {"one": {}, "jit": {"jit_compile": True}, "several": {"steps_per_execution": 2}}
EAGER = {"eager": {"run_eagerly": True}}


def batches(*sizes, label=False):
    """A dataset of view pairs with batches of these sizes, unknown to TensorFlow."""
    rng = np.random.default_rng(0)

    def generate():
        for size in sizes:
            view = rng.normal(size=(size, 8, 8, 3)).astype("float32")
            yield ((view, view + 0.1), np.zeros(size)) if label else (view, view + 0.1)

    spec = tf.TensorSpec((None, 8, 8, 3))
    signature = ((spec, spec), tf.TensorSpec((None,))) if label else (spec, spec)
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


def one_line(call, message):
    with pytest.raises(bt_keras.UsageError) as error:
        call()
    assert len(str(error.value).splitlines()) == 1
    assert message in str(error.value)


@pytest.mark.parametrize("arguments", (STEPS | EAGER).values(), ids=STEPS | EAGER)
def test_a_last_batch_of_one_is_one_line_and_trains_nothing(arguments):
    model = tiny()
    model.compile(bt_keras.LARS(0.1), **arguments)
    before = [v.numpy() for v in model.trainable_variables]
    for rows in (0, 1):
        one_line(lambda rows=rows: model.fit(batches(rows), verbose=0), "at least 2")
    for value, variable in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())
    one_line(lambda: model.fit(batches(8, 8, 1), verbose=0), "drop_remainder=True")
    model.fit(batches(8, 2), verbose=0)  # Goes on.


def test_evaluate_and_labels():
    model = tiny()
    model.compile("sgd")
    one_line(lambda: model.evaluate(batches(8, 1), verbose=0), "drop_remainder=True")
    one_line(lambda: model.fit(batches(8, 1, label=True), verbose=0), "at least 2")


def test_arrays_with_a_remainder_of_one():
    model = tiny()
    model.compile("sgd")
    view = np.random.default_rng(0).normal(size=(9, 8, 8, 3)).astype("float32")
    one_line(lambda: model.fit(view, view, batch_size=4, verbose=0), "drop_remainder")


def test_one_row_on_two_replicas(replicas):
    with replicas(2).scope():
        model = tiny()
        model.compile(bt_keras.LARS(0.1))
    one_line(lambda: model.fit(batches(8, 1), verbose=0), "drop_remainder=True")
    model.fit(batches(8, 3), verbose=0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_microbatches_of_a_last_batch(jit_compile):
    model = tiny(microbatches=2)
    model.compile(bt_keras.LARS(0.1), jit_compile=jit_compile)
    for rows in (3, 2):  # Batch norm needs two images in each part.
        with pytest.raises(bt_keras.UsageError, match="2 does not divide") as error:
            model.fit(batches(8, rows), verbose=0)
        assert len(str(error.value).splitlines()) == 1
    model.evaluate(batches(3), verbose=0)


def test_other_errors_of_a_graph_pass():
    model = tiny()
    model.compile("sgd")
    data = batches(4).map(lambda a, b: (tf.debugging.check_numerics(a / 0, "mine"), b))
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"):
        model.fit(data, verbose=0)
