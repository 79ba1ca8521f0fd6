import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.model.gradients import of_batch, of_microbatches
from bt_keras.networks import BatchNormalization
from tests.conftest import relative_error


def model_of(layers, **kwargs):
    inputs = keras.Input((8, 8, 3))
    x = keras.Sequential(layers)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    # The loss does not change with a bias here, whose gradient would be noise.
    last = keras.layers.Dense(16, use_bias=False)
    projector = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(12, "relu"), last]
    )
    model = bt_keras.BarlowTwins(keras.Model(inputs, x), projector, **kwargs)
    model.compile(optimizer=bt_keras.LARS(0.1))
    return model


def plain(**kwargs):
    """Without batch norm: nothing but the loss ties the images of a batch together."""
    conv = keras.layers.Conv2D(6, 3, activation="relu", kernel_regularizer="l2")
    return model_of([conv], **kwargs)


def two_views(batch=8):
    a, b = np.random.default_rng(0).normal(size=(2, batch, 8, 8, 3))
    return tf.constant(a, tf.float32), tf.constant(a + 0.3 * b, tf.float32)


def assert_same(ours, theirs):
    for gradient, expected in zip(ours, theirs, strict=True):
        # float32, summed in another order.
        assert relative_error(gradient, expected) < 5e-5


@pytest.mark.parametrize("count", [2, 4, 8])
def test_microbatches_give_the_whole_batchs_loss_and_gradients(count):
    model, views = plain(), two_views()
    whole, whole_logs = of_batch(model, *views)
    gradients, logs = of_microbatches(model, *views, count)
    assert_same(gradients, whole)
    for name, value in whole_logs.items():
        np.testing.assert_allclose(logs[name], value, rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_step_in_microbatches_is_the_whole_batchs(compiled):
    weights = []
    for count in (1, 4):
        keras.utils.set_random_seed(0)
        model = plain(microbatches=count)
        model.compile(optimizer=bt_keras.LARS(0.1), jit_compile=compiled)
        model.train_on_batch(*two_views())
        weights.append(model.get_weights())
    assert_same(*weights)


def test_replicas_cut_their_own_rows_into_microbatches(replicas):
    """Two replicas' first halves are what batch norm sees together, then the others."""
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


def test_both_passes_see_the_same_dropout_and_batch_norm():
    """As one tape over all micro-batches would; statistics are kept once."""
    layers = [
        keras.layers.Conv2D(6, 3, use_bias=False),
        BatchNormalization(),
        keras.layers.Dropout(0.5, seed=1),
    ]
    model, (view_a, view_b) = model_of(layers), two_views()
    state = model.backbone.non_trainable_variables
    assert len(state) == 3  # Mean, variance, and the seed of dropout.
    initial = [variable.numpy() for variable in state]
    gradients, _ = of_microbatches(model, view_a, view_b, 2)
    left = [variable.numpy() for variable in state]

    for variable, value in zip(state, initial, strict=True):
        variable.assign(value)
    z_a, z_b = [], []
    with tf.GradientTape() as tape:
        for half in (slice(0, 4), slice(4, 8)):
            z_a.append(model.project(view_a[half], training=True))
            z_b.append(model.project(view_b[half], training=True))
        loss = bt_keras.barlow_twins_loss(tf.concat(z_a, 0), tf.concat(z_b, 0))
    assert_same(gradients, tape.gradient(loss, model.trainable_variables))
    for variable, value in zip(state, left, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-6)


def test_microbatches_are_what_batch_norm_sees():
    model = model_of([keras.layers.Conv2D(6, 3, use_bias=False), BatchNormalization()])
    views = two_views()
    whole, _ = of_batch(model, *views)
    parts, _ = of_microbatches(model, *views, 2)
    assert relative_error(parts[0], whole[0]) > 1e-3


def test_xla_runs_every_microbatch_twice():
    """Or all activations would be kept, and no memory saved."""
    model, views = plain(), two_views()
    step = tf.function(lambda *v: of_microbatches(model, *v, 2)[0], jit_compile=True)
    code = step.experimental_get_compiler_ir(*views)(stage="optimized_hlo")
    # For two views of two micro-batches: two forward, one backward to the kernel.
    assert code.count(" convolution(") + code.count("__onednn$conv") == 12


def test_gradients_of_an_embedding_are_summed():
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
        of_microbatches(model, *views, 2)[0],
        map(tf.convert_to_tensor, of_batch(model, *views)[0]),
    )


def test_microbatches_must_divide_the_batch():
    model = plain(microbatches=3)
    with pytest.raises(bt_keras.UsageError, match="microbatches=3 does not divide"):
        model.train_on_batch(*two_views())
    ragged = tf.data.Dataset.from_tensor_slices(two_views()).batch(7)
    with pytest.raises(tf.errors.InvalidArgumentError, match="microbatches=3 does not"):
        model.fit(ragged, verbose=0)


def test_a_scaled_loss_and_accumulated_gradients_train_the_same():
    """float16's loss scale multiplies the slopes, and LARS sees it taken out again."""
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
    with pytest.raises(bt_keras.UsageError, match="int above 0"):
        plain(microbatches=count)
