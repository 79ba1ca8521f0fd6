"""Computes on two workers what the test computes on one device: `worker.py OUT`.

Each worker writes OUT-INDEX.npz with what `losses`, `trained` and `trained_on_a_nest`
return: the loss and its gradients, and a model's weights, optimizer and logs after
`fit`.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

import bt_keras
from bt_keras.networks import BatchNormalization
from tests.losses.compute import NAMES, terms_and_gradients
from tests.models import mixed_inputs, mixed_pairs

LAMBD = 0.0051
STEPS = 5
BATCH = 8


def embeddings():
    """Makes the embeddings of two views of a global batch, all rows different."""
    shared, *own = np.random.default_rng(0).normal(size=(3, BATCH, 40))
    return [np.float32(shared + 0.5 * o) for o in own]


def model():
    inputs = keras.Input((8, 8, 3))
    # The test finds the optimizer's slots by the layers' names.
    x = keras.layers.Conv2D(6, 3, 2, use_bias=False, name="conv")(inputs)
    x = keras.layers.ReLU()(BatchNormalization(name="norm")(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = bt_keras.BarlowTwins(keras.Model(inputs, x), (16, 16))
    rate, bias_rate = (bt_keras.WarmupCosine(p, 2, 20) for p in (0.5, 1e-2))
    model.compile(optimizer=bt_keras.LARS(rate, bias_rate))
    return model


def images():
    pixels = np.random.default_rng(1).integers(0, 256, (STEPS * BATCH, 10, 10, 3))
    return tf.data.Dataset.from_tensor_slices(pixels.astype("uint8"))


def trained(strategy, callbacks=()):
    """Returns logs, weights and slots after five steps of `fit` with validation."""
    with strategy.scope():
        keras.utils.set_random_seed(3)
        network = model()
        pairs = bt_keras.pairs(images(), bt_keras.views(8, "small"), BATCH)
        check = bt_keras.pairs(images(), bt_keras.views(8, "small"), BATCH, seed=1)
    history = network.fit(
        pairs,
        epochs=1,
        shuffle=False,
        verbose=0,
        validation_data=check,
        callbacks=callbacks,
    ).history
    return _logs_and_state(history, network)


def trained_on_a_nest(strategy):
    """Returns the same for a dataset of dicts, which Keras distributes."""
    with strategy.scope():
        keras.utils.set_random_seed(3)
        network = mixed_inputs()
        network.compile(optimizer=bt_keras.LARS(0.5, trust_coefficient=0.1))
    # One batch: its rows reach the workers in another order than one device.
    data = mixed_pairs(batches=1)
    history = network.fit(
        data, epochs=3, shuffle=False, verbose=0, validation_data=data
    ).history
    results = _logs_and_state(history, network)
    return {f"nest/{name}": value for name, value in results.items()}


def _logs_and_state(history, network):
    variables = [*network.variables, *network.optimizer.variables]
    results = {f"logs/{name}": values for name, values in history.items()}
    results |= {f"state/{i}/{v.name}": v.numpy() for i, v in enumerate(variables)}
    return results


def losses(strategy):
    """Returns the loss, its terms and the gradients of the rows of this worker."""
    results = {}
    for implementation in ("gram", "correlation"):

        @tf.function
        def step(a, b, implementation=implementation):
            args = (a, b, LAMBD, implementation)
            return strategy.run(terms_and_gradients, args)

        replicas = strategy.num_replicas_in_sync
        index = strategy.cluster_resolver.task_id if replicas > 1 else 0
        parts = [np.split(z, replicas)[index] for z in embeddings()]
        for name, value in zip(NAMES, step(*map(tf.constant, parts)), strict=True):
            results[f"{implementation}/{name}"] = np.asarray(value)
    return results


def main(out):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    out = f"{out}-{strategy.cluster_resolver.task_id}"
    callbacks = [
        keras.callbacks.CSVLogger(f"{out}.csv"),
        keras.callbacks.ModelCheckpoint(f"{out}.keras", monitor="val_loss"),
    ]
    results = losses(strategy) | trained(strategy, callbacks)
    np.savez(f"{out}.npz", **results, **trained_on_a_nest(strategy))


if __name__ == "__main__":
    main(*sys.argv[1:])
