"""Steps of a small network, and how far two of them differ."""

import keras
import numpy as np
import tensorflow as tf

import bt_keras
from bt_keras.model import both_views
from tests import models  # noqa: F401  Its import names the ResNet of depth 6.
from tests.conftest import relative_error
from tests.reference import weights

SIZE = 16


def views(batches, batch=16):
    """Makes a dataset of pairs of correlated views; every call gives the same."""
    elements = weights.image_pair(batches * batch, SIZE, SIZE, seed=0)
    return tf.data.Dataset.from_tensor_slices(elements).batch(batch, True)


def network(optimizer=None, stack=None, **compiled):
    """Builds and compiles a network whose layers all have gradients.

    Its weights are from NumPy: random numbers of TensorFlow may depend on the device.
    """
    rng = np.random.default_rng(0)
    model = bt_keras.BarlowTwins(bt_keras.resnet(6, 0.25, "cifar"), (32, 32))
    for variable in model.trainable_variables:
        shape = variable.shape
        kernel = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        variable.assign(kernel if len(shape) > 1 else rng.uniform(0.5, 1.5, shape))
    # The update is the gradient: its scale counts, unlike in LARS.
    model.compile(optimizer or keras.optimizers.SGD(1.0), **compiled)
    if stack is not None:
        model.stacks = both_views.VIEWS if stack else None
    return model


def trained(dataset=None, strategy=None, epochs=1, **kwargs):
    """Trains for an epoch of one step, unless told otherwise.

    Args:
        dataset: `tf.data.Dataset` of pairs, by default of one batch.
        strategy: optional `tf.distribute.Strategy`.
        epochs: integer.
        **kwargs: arguments of `network`.

    Returns:
        tuple of the array of the epochs' losses and the list of the changes of all
        variables, float32 arrays.
    """
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = network(**kwargs)
    before = model.get_weights()
    dataset = views(1) if dataset is None else dataset
    fit = model.fit(dataset, epochs=epochs, steps_per_epoch=1, shuffle=False, verbose=0)
    changes = [b - a for a, b in zip(before, model.get_weights(), strict=True)]
    return np.array(fit.history["loss"]), changes


def difference(ours, theirs):
    """Returns the largest relative differences of two results of `trained`.

    Returns:
        tuple of that of the losses, and that of a variable's change, relative to its
        largest entry.
    """
    losses = np.abs(ours[0] / theirs[0] - 1).max()
    pairs = zip(ours[1], theirs[1], strict=True)
    return losses, max(relative_error(a, b) for a, b in pairs)
