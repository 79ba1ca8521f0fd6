"""Labeled pairs of views, and the training of a tiny model on them."""

import keras
import numpy as np
import tensorflow as tf

import bt_keras
from tests.models import tiny

CLASSES = 3


def images(count=24, seed=0):
    """Random images, brighter by class, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    noise = rng.normal(size=(count, 8, 8, 3))
    return (noise + labels[:, None, None, None]).astype("float32"), labels


def pairs(count=24, batch=8, seed=0, change=lambda labels: labels):
    """A dataset of ((view_a, view_b), label)."""
    view, labels = images(count, seed)
    noise = np.random.default_rng(seed + 1).normal(size=view.shape)
    other = (view + 0.3 * noise).astype("float32")
    elements = ((view, other), change(labels))
    return tf.data.Dataset.from_tensor_slices(elements).batch(batch)


def compiled(strategy=None, optimizer=None, **kwargs):
    """A tiny model, the same in every call."""
    keras.utils.set_random_seed(1)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = tiny()
        model.compile(optimizer or bt_keras.LARS(0.5), **kwargs)
    return model


def fit(model, *callbacks, data=None, epochs=2, **kwargs):
    """Trains a model; returns its history."""
    data = pairs() if data is None else data
    return model.fit(
        data, epochs=epochs, callbacks=[*callbacks], shuffle=False, verbose=0, **kwargs
    ).history


def state(model):
    """Weights, statistics and the optimizer's variables of a model."""
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
