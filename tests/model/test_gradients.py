import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.model.gradients import batch_gradients, microbatch_gradients
from bt_keras.networks import BatchNormalization
from tests.conftest import relative_error


def model_of(layers, **kwargs):
    inputs = keras.Input((8, 8, 3))
    x = keras.Sequential(layers)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    # The loss does not depend on a bias here; its gradient would be rounding noise.
    last = keras.layers.Dense(16, use_bias=False)
    projector = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(12, "relu"), last]
    )
    model = bt_keras.BarlowTwins(keras.Model(inputs, x), projector, **kwargs)
    model.compile(optimizer=bt_keras.LARS(0.1))
    return model


def plain(**kwargs):
    """Without batch norm: the images of a batch interact in the loss alone."""
    conv = keras.layers.Conv2D(6, 3, activation="relu", kernel_regularizer="l2")
    return model_of([conv], **kwargs)


def two_views(batch=8):
    a, b = np.random.default_rng(0).normal(size=(2, batch, 8, 8, 3))
    return tf.constant(a, tf.float32), tf.constant(a + 0.3 * b, tf.float32)


def assert_same(values, references):
    for gradient, expected in zip(values, references, strict=True):
        # float32 sums in a different order.
        assert relative_error(gradient, expected) < 5e-5


@pytest.mark.parametrize("count", [2, 4, 8])
def test_microbatches_equal_the_whole_batch(count):
    model, views = plain(), two_views()
    whole, whole_logs, outputs = batch_gradients(model, *views)
    gradients, logs, outputs_in_parts = microbatch_gradients(model, *views, count)
    assert_same(gradients, whole)
    for name, value in whole_logs.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-5)
    for ours, theirs in zip(outputs_in_parts, outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_step_in_microbatches_equals_the_whole_batch(compiled):
    weights = []
    for count in (1, 4):
        keras.utils.set_random_seed(0)
        model = plain(microbatches=count)
        model.compile(optimizer=bt_keras.LARS(0.1), jit_compile=compiled)
        model.train_on_batch(*two_views())
        weights.append(model.get_weights())
    assert_same(*weights)


@pytest.mark.slow
def test_replicas_split_their_own_rows_into_microbatches(replicas):
    """Batch norm uses the first halves of both replicas together, then the second."""
    views = two_views()
    together = [tf.gather(view, [0, 1, 4, 5, 2, 3, 6, 7]) for view in views]
    weights = []
    for strategy, batch in (
        (tf.distribute.get_strategy(), together),
        (replicas(2), views),
    ):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            conv = keras.layers.Conv2D(6, 3, use_bias=False)
            model = model_of([conv, BatchNormalization()], microbatches=2)
        dataset = tf.data.Dataset.from_tensor_slices(tuple(batch)).batch(8)
        model.fit(dataset, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert_same(*weights)


def test_both_passes_use_the_same_dropout_and_batch_norm():
    """Equals one tape over all micro-batches; statistics are updated once."""
    layers = [
        keras.layers.Conv2D(6, 3, use_bias=False),
        BatchNormalization(),
        keras.layers.Dropout(0.5, seed=1),
    ]
    model, (view_a, view_b) = model_of(layers), two_views()
    state = model.backbone.non_trainable_variables
    assert len(state) == 3  # Mean, variance, and the seed of dropout.
    initial = [variable.numpy() for variable in state]
    gradients, *_ = microbatch_gradients(model, view_a, view_b, 2)
    final = [variable.numpy() for variable in state]

    for variable, value in zip(state, initial, strict=True):
        variable.assign(value)
    z_a, z_b = [], []
    with tf.GradientTape() as tape:
        for half in (slice(0, 4), slice(4, 8)):
            z_a.append(model.project(view_a[half], training=True))
            z_b.append(model.project(view_b[half], training=True))
        loss = bt_keras.barlow_twins_loss(tf.concat(z_a, 0), tf.concat(z_b, 0))
    assert_same(gradients, tape.gradient(loss, model.trainable_variables))
    for variable, value in zip(state, final, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-6)


def test_batch_norm_uses_the_statistics_of_microbatches():
    model = model_of([keras.layers.Conv2D(6, 3, use_bias=False), BatchNormalization()])
    views = two_views()
    whole, *_ = batch_gradients(model, *views)
    parts, *_ = microbatch_gradients(model, *views, 2)
    assert relative_error(parts[0], whole[0]) > 1e-3


def test_xla_runs_every_microbatch_twice():
    """Otherwise all activations would be kept, and no memory saved."""
    model, views = plain(), two_views()
    step = tf.function(
        lambda *v: microbatch_gradients(model, *v, 2)[0], jit_compile=True
    )
    code = step.experimental_get_compiler_ir(*views)(stage="optimized_hlo")
    # Two views of two micro-batches: two passes forward, one backward to the kernel.
    assert code.count(" convolution(") + code.count("__onednn$conv") == 12


def test_sparse_gradients_of_an_embedding_are_summed():
    class Positions(keras.layers.Layer):
        def build(self, shape):
            self.table = keras.layers.Embedding(36, 6)
            self.table.build((36,))

        def call(self, x):
            x = keras.ops.reshape(x, (-1, 36, 6))
            x = keras.ops.relu(x + self.table(keras.ops.arange(36)))
            return keras.ops.reshape(x, (-1, 6, 6, 6))

    model, views = model_of([keras.layers.Conv2D(6, 3), Positions()]), two_views()
    assert_same(
        microbatch_gradients(model, *views, 2)[0],
        map(tf.convert_to_tensor, batch_gradients(model, *views)[0]),
    )


def test_microbatches_must_divide_the_batch():
    model = plain(microbatches=3)
    with pytest.raises(bt_keras.UsageError, match="microbatches=3 does not divide"):
        model.train_on_batch(*two_views())
    ragged = tf.data.Dataset.from_tensor_slices(two_views()).batch(7)
    with pytest.raises(bt_keras.UsageError, match="microbatches=3 does not divide"):
        model.fit(ragged, verbose=0)


def test_loss_scale_and_accumulated_gradients_do_not_change_training():
    """A loss scale multiplies the gradients and is removed before LARS."""
    weights = []
    for wrap in (lambda o: o, keras.optimizers.LossScaleOptimizer):
        keras.utils.set_random_seed(0)
        model = plain(microbatches=2)
        optimizer = bt_keras.LARS(0.1, gradient_accumulation_steps=2)
        model.compile(optimizer=wrap(optimizer))
        before = model.get_weights()
        model.train_on_batch(*two_views())
        for weight, initial in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, initial)
        model.train_on_batch(*two_views())
        weights.append(model.get_weights())
    assert_same(*weights)
    assert relative_error(weights[0][0], before[0]) > 1e-6


@pytest.mark.parametrize("count", [0, -1, 2.0, "4"])
def test_microbatches_must_be_a_positive_int(count):
    with pytest.raises(bt_keras.UsageError, match=r"^microbatches="):
        plain(microbatches=count)
