"""`fit` on crops that the step finishes, against `fit` on views."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.networks import BatchNormalization
from tests.conftest import relative_error

SIZE = 32


def network(**kwargs):
    """Builds a network that trains in milliseconds."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(6, 3, 8, use_bias=False)(inputs)
    x = keras.layers.ReLU()(BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return bt_keras.BarlowTwins(keras.Model(inputs, x), (16, 16), **kwargs)


def train(finish_on_device, strategy=None, jit_compile=False, microbatches=1):
    """Returns the losses, with those of held-out pairs, and the weights."""
    keras.utils.set_random_seed(0)
    views = bt_keras.views(SIZE, "small", finish_on_device=finish_on_device)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        pairs, held_out = (
            bt_keras.pairs("shipped", views, 16, split=split, **options)
            for split, options in (
                ("train[:64]", {"endless": True}),
                ("test[:16]", {"fixed_views": True}),
            )
        )
        model = network(microbatches=microbatches)
        model.compile(
            bt_keras.LARS(0.1), jit_compile=jit_compile, steps_per_execution=2
        )
    history = model.fit(
        pairs, epochs=2, steps_per_epoch=2, validation_data=held_out, verbose=0
    ).history
    weights = [w.numpy().ravel() for w in model.weights]
    return [*history["loss"], *history["val_loss"]], np.concatenate(weights)


@pytest.mark.parametrize("microbatches", [1, 2])
def test_the_bits_are_those_of_training_on_views(microbatches):
    ours, expected = (train(on, microbatches=microbatches) for on in (True, False))
    assert ours[0] == expected[0]
    np.testing.assert_array_equal(ours[1], expected[1])


def test_a_step_compiled_by_xla_finishes_crops():
    compare(*(train(on, jit_compile=True) for on in (True, False)))


def test_replicas_finish_their_rows(replicas):
    compare(*(train(on, replicas(2)) for on in (True, False)))


def test_stacked_views_are_finished_first(gpu_paths):
    compare(*(train(on) for on in (True, False)))


def compare(ours, expected):
    np.testing.assert_allclose(ours[0], expected[0], rtol=1e-5)
    assert relative_error(ours[1], expected[1]) < 1e-5


def test_views_of_another_size_than_the_backbone_are_named():
    views = bt_keras.views(8, "small", finish_on_device=True)
    pairs = bt_keras.pairs("shipped", views, 8, split="train[:8]")
    backbone = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    model = bt_keras.BarlowTwins(backbone, (4,))
    model.compile(bt_keras.LARS(0.1))
    with pytest.raises(bt_keras.UsageError, match=r"got \[\(8, 8, 8, 3\)"):
        model.fit(pairs, verbose=0)


def test_rows_that_micro_batches_do_not_divide_are_named():
    views = bt_keras.views(SIZE, "small", finish_on_device=True)
    pairs = bt_keras.pairs("shipped", views, 8, split="train[:8]")
    model = network(microbatches=3)
    model.compile(bt_keras.LARS(0.1))
    with pytest.raises(bt_keras.UsageError, match="microbatches=3 does not divide"):
        model.fit(pairs, verbose=0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_parts_of_one_row_are_refused(jit_compile):
    """Batch norm would make zeros of them. The parts are known before the step."""
    views = bt_keras.views(SIZE, "small", finish_on_device=True)
    pairs = bt_keras.pairs("shipped", views, 4, split="train[:4]")
    model = network(microbatches=4)
    model.compile(bt_keras.LARS(0.1), jit_compile=jit_compile)
    with pytest.raises(bt_keras.UsageError, match="parts of at least 2"):
        model.fit(pairs, verbose=0)


def test_a_batch_of_one_row_is_refused():
    views = bt_keras.views(SIZE, "small", finish_on_device=True)
    pairs = bt_keras.pairs("shipped", views, 4, split="train[:4]")
    one_row = pairs.unbatch().take(1).batch(2)
    model = network()
    model.compile(bt_keras.LARS(0.1), jit_compile=True)
    with pytest.raises(bt_keras.UsageError, match="fewer than 2 examples"):
        model.fit(one_row, verbose=0)
