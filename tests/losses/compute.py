"""Computes the loss, its terms and its gradients, on one device or on replicas."""

import numpy as np
import tensorflow as tf

from bt_keras.losses import barlow_twins_terms

NAMES = ("loss", "invariance", "redundancy", "grad_a", "grad_b")


def terms_and_gradients(z_a, z_b, lambd, implementation):
    """Returns the values of `NAMES`, in this order."""
    z_a, z_b = tf.convert_to_tensor(z_a), tf.convert_to_tensor(z_b)
    with tf.GradientTape() as tape:
        tape.watch([z_a, z_b])
        invariance, redundancy = barlow_twins_terms(z_a, z_b, implementation)
        loss = invariance + lambd * redundancy
    return (loss, invariance, redundancy, *tape.gradient(loss, [z_a, z_b]))


def on_replicas(strategy, z_a, z_b, lambd, implementation):
    """Splits the rows over replicas; returns a dict from `NAMES` to their values."""

    @tf.function
    def step(a, b):
        return strategy.run(terms_and_gradients, (a, b, lambd, implementation))

    def distributed(z):
        shards = np.split(z, strategy.num_replicas_in_sync)
        return strategy.experimental_distribute_values_from_function(
            lambda context: shards[context.replica_id_in_sync_group]
        )

    values = step(distributed(z_a), distributed(z_b))
    results = map(strategy.experimental_local_results, values)
    return dict(zip(NAMES, results, strict=True))


def numpy_terms(z_a, z_b):
    """Returns the invariance and the redundancy of equation 1, in float64."""
    a, b = (
        (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) for z in map(np.float64, (z_a, z_b))
    )
    c = a.T @ b / len(a)
    off_diagonal = c - np.diag(np.diag(c))
    return np.sum((1 - np.diag(c)) ** 2), np.sum(off_diagonal**2)


def numpy_loss(z_a, z_b, lambd):
    """Returns the loss of the paper in float64."""
    invariance, redundancy = numpy_terms(z_a, z_b)
    return invariance + lambd * redundancy
