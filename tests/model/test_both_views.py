import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.model import both_views
from bt_keras.model.both_views import can_stack
from tests.conftest import relative_error

RNG = np.random.default_rng(0)
VIEWS = RNG.normal(size=(2, 8, 16, 16, 3)).astype("float32")


def trained(jit_compile=False, microbatches=1, strategy=None):
    """Returns the losses and the weights after three steps."""
    keras.utils.set_random_seed(0)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        backbone = bt_keras.resnet(18, width=0.125, stem="cifar")
        model = bt_keras.BarlowTwins(backbone, (16, 16), microbatches=microbatches)
        model.compile(bt_keras.LARS(0.1), jit_compile=jit_compile)
    dataset = tf.data.Dataset.from_tensors(tuple(VIEWS)).repeat(3)
    history = model.fit(dataset, verbose=0)
    weights = [w.numpy().ravel() for w in model.weights]
    return model, history.history["loss"], np.concatenate(weights)


@pytest.fixture(scope="module")
def one_after_the_other():
    """The losses and the weights without stacked views, by number of micro-batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(both_views, "can_stack", lambda part: False)
        made = {count: trained(microbatches=count) for count in (1, 2)}
    assert made[1][0].stacks is None
    return {count: (loss, weights) for count, (_, loss, weights) in made.items()}


@pytest.mark.parametrize("microbatches", [1, 2])
def test_a_cpu_stacks_the_features_of_both_views(one_after_the_other, microbatches):
    model, *stacked = trained(microbatches=microbatches)
    assert model.stacks == both_views.FEATURES
    compare(stacked, one_after_the_other[microbatches])


def test_a_model_that_overrides_project_is_not_bypassed():
    calls = []

    class Scaled(bt_keras.BarlowTwins):
        def project(self, inputs, training=False):
            calls.append(inputs.shape)
            return super().project(inputs, training)

    model = Scaled(bt_keras.resnet(18, width=0.125, stem="cifar"), (16, 16))
    model.compile(bt_keras.LARS(0.1), run_eagerly=True)
    model.train_step(tuple(map(tf.constant, VIEWS)))
    assert calls == [VIEWS[0].shape] * 2


@pytest.mark.parametrize(("jit_compile", "microbatches"), [(False, 2), (True, 1)])
def test_stacked_views_train_as_one_after_the_other(
    one_after_the_other, gpu_paths, jit_compile, microbatches
):
    model, *stacked = trained(jit_compile, microbatches)
    assert model.stacks == both_views.VIEWS
    compare(stacked, one_after_the_other[microbatches])


def test_stacked_views_on_replicas_train_as_one_device(
    one_after_the_other, gpu_paths, replicas
):
    model, *stacked = trained(strategy=replicas(2))
    assert model.stacks == both_views.VIEWS
    compare(stacked, one_after_the_other[1])


def compare(ours, expected):
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-5)
    assert relative_error(ours[1], expected[1]) < 1e-4


def test_views_of_two_sizes_are_not_stacked(gpu_paths):
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    model = bt_keras.BarlowTwins(keras.Model(inputs, outputs), (8,))
    model.compile(bt_keras.LARS(0.1), run_eagerly=True)
    assert model.stacks == both_views.VIEWS
    logs = model.train_step((tf.constant(VIEWS[0]), tf.constant(VIEWS[1, :, :8])))
    assert np.isfinite(logs["loss"])


def dense(**kwargs):
    return keras.layers.Dense(4, **kwargs)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = dense()

    def call(self, inputs):
        return self.dense(inputs - tf.reduce_mean(inputs, axis=0))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: bt_keras.resnet(50, width=0.125), True),
        (lambda: bt_keras.networks.projector((8, 8), 4), True),
        (lambda: keras.Sequential([keras.Input((4,)), dense()]), True),
        (lambda: keras.Sequential([dense(), keras.layers.BatchNormalization()]), False),
        (lambda: keras.Sequential([dense(), keras.layers.Lambda(lambda x: x)]), False),
        (lambda: dense(activity_regularizer="l2"), False),
        (lambda: dense(activation="gelu"), True),
        (lambda: dense(activation=lambda x: x - tf.reduce_mean(x, axis=0)), False),
        (keras.layers.Concatenate, True),
        (lambda: keras.layers.Concatenate(axis=0), False),
        (keras.layers.LayerNormalization, True),
        (lambda: keras.layers.LayerNormalization(axis=(0, 1)), False),
        (lambda: keras.applications.MobileNetV2((32, 32, 3), weights=None), False),
        (Own, False),
    ],
)
def test_only_layers_that_keep_the_views_apart_are_stacked(make, expected):
    assert can_stack(make()) == expected


@pytest.mark.parametrize("jit_compile", [False, True])
def test_views_of_different_rows_are_not_mixed(gpu_paths, jit_compile):
    model = bt_keras.BarlowTwins(bt_keras.resnet(18, 0.125, "cifar"), (8,))
    model.compile(bt_keras.LARS(0.1), jit_compile=jit_compile)
    views = [tf.TensorSpec((None, 16, 16, 3))] * 2
    step = tf.function(model.train_step, input_signature=[views])
    with pytest.raises(tf.errors.InvalidArgumentError):
        step([VIEWS[0, :6], VIEWS[1, :4]])
