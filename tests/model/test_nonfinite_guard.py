import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.model import nonfinite_guard
from tests.models import pairs, tiny


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_one_non_finite_element_is_detected(bad, dtype):
    good = [tf.cast(np.full((300, 300), 1000.0), dtype), tf.zeros(3, dtype)]
    assert nonfinite_guard.are_finite(good)
    values = np.zeros((7, 5))
    values[6, 4] = bad
    assert not nonfinite_guard.are_finite([*good, tf.cast(values, dtype)])
    sparse = tf.IndexedSlices(tf.cast(values, dtype), tf.range(7))
    assert not nonfinite_guard.are_finite([*good, sparse])


def test_gradients_are_kept_or_replaced_as_a_whole():
    gradients = [tf.ones(2), None, tf.IndexedSlices(tf.ones((1, 2)), [0], [1, 2])]
    for good, value, expected in ((True, 0.0, 1.0), (False, 0.0, 0.0)):
        first, none, last = nonfinite_guard.replace_unless(
            tf.constant(good), gradients, value
        )
        assert none is None
        np.testing.assert_array_equal(first, np.full(2, expected))
        np.testing.assert_array_equal(last, np.full((1, 2), expected))


def poisoned(batches=2, bad_row=5):
    """`pairs` with a pixel that overflows, on the second of two replicas."""

    def poison(view_a, view_b):
        row = tf.one_hot(bad_row, tf.shape(view_a)[0])[:, None, None, None]
        return view_a + 3e38 * 10 * row, view_b

    return pairs(batches).map(poison)


@pytest.mark.parametrize("count", [1, 2])
def test_weights_stay_finite_and_the_loss_is_nan(replicas, count):
    strategy = replicas(2) if count == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        model = tiny()
        model.compile(optimizer=bt_keras.LARS(0.1))
    logs = model.fit(poisoned(1), shuffle=False, verbose=0).history
    assert np.isnan(logs["loss"][0])
    for variable in (*model.trainable_variables, *model.optimizer.variables):
        assert np.all(np.isfinite(variable)), variable.path


class OverflowOnOneReplica(keras.layers.Layer):
    """Identity whose gradient is infinite if an input is above 100."""

    def call(self, x):
        @tf.custom_gradient
        def identity(x):
            def grad(dy):
                huge = tf.reduce_any(x > 100.0)
                return tf.where(huge, tf.cast(float("inf"), dy.dtype), dy)

            return tf.identity(x), grad

        return identity(x)


@pytest.mark.parametrize("kind", ["merge_call", "collectives"])
def test_all_replicas_skip_a_step_that_overflows_on_one(replicas, two_replicas, kind):
    """Keras's loss scaling checks the gradients of each replica separately."""
    strategy = two_replicas if kind == "collectives" else replicas(2)
    with strategy.scope():
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(6, 3)(OverflowOnOneReplica()(inputs))
        # A layer with weights must be below the overflow.
        x = OverflowOnOneReplica()(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        model = bt_keras.BarlowTwins(keras.Model(inputs, x), (8,))
        model.compile(optimizer=keras.optimizers.LossScaleOptimizer(bt_keras.LARS(0.1)))
    before = model.get_weights()

    def large(view_a, view_b):  # On the second replica.
        row = tf.one_hot(6, tf.shape(view_a)[0])[:, None, None, None]
        return view_a + 1e4 * row, view_b

    logs = model.fit(pairs(1).map(large), shuffle=False, verbose=0).history
    assert np.isfinite(logs["loss"][0])
    assert model.optimizer.dynamic_scale.numpy() == 2.0**14
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    model.fit(pairs(1), shuffle=False, verbose=0)
    assert any(
        np.any(weight != expected)
        for weight, expected in zip(model.get_weights(), before, strict=True)
    )
    # Below a scale of 1, halving does not help.
    model.optimizer.dynamic_scale.assign(0.5)
    logs = model.fit(pairs(1).map(large), shuffle=False, verbose=0).history
    assert np.isnan(logs["loss"][0])
