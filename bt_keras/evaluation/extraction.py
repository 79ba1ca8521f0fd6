"""Features of batches of images, computed on all replicas of a strategy."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bt_keras.distribution import strategies
from bt_keras.errors import UsageError


def on_replicas(
    backbone: keras.Model, strategy: tf.distribute.Strategy
) -> Callable[[tf.Tensor], Callable[[], np.ndarray]]:
    """Makes a function that starts the computation of features on all replicas.

    Args:
        backbone: `keras.Model` from images (N, H, W, C) to features (N, F). It stays
            where it is: the replicas have copies.
        strategy: `tf.distribute.Strategy` of one process.

    Returns:
        Function of a batch of images, which every replica computes an equal part of,
        that returns a function without arguments. That waits for the features, a
        float32 array (N, F). Devices compute while the next batch is read.

    Raises:
        UsageError: If the strategy has several workers.

    Example:

    >>> from bt_keras.evaluation.extraction import on_replicas
    >>> backbone = bt_keras.resnet(18, width=1 / 16, input_shape=(28, 28, 3))
    >>> start = on_replicas(backbone, tf.distribute.get_strategy())
    >>> start(tf.zeros((5, 28, 28, 3)))().shape
    (5, 32)
    """
    if strategies.num_workers(strategy) > 1:
        raise UsageError(
            "features are computed by one process: take a strategy without workers, "
            "such as tf.distribute.MirroredStrategy."
        )
    if not _is_default(strategy):
        with strategy.scope():
            weights = backbone.get_weights()
            backbone = keras.models.clone_model(backbone)
            backbone.set_weights(weights)

    def features(images):
        return tf.cast(backbone(images, training=False), tf.float32)

    @tf.function(reduce_retracing=True)
    def compute(shards):
        return strategy.run(features, args=(shards,))

    def start(images):
        shards = _shards(images, strategy)
        parts = strategy.experimental_local_results(compute(shards))
        return lambda: np.concatenate([part.numpy() for part in parts])[: len(images)]

    return start


def _shards(images, strategy):
    """Returns an equal part of a batch for each replica, filled up with zeros."""
    count = strategy.num_replicas_in_sync
    missing = -len(images) % count
    if missing:
        images = tf.pad(images, [[0, missing]] + [[0, 0]] * (len(images.shape) - 1))
    shards = tf.split(images, count)
    return strategy.experimental_distribute_values_from_function(
        lambda context: shards[context.replica_id_in_sync_group]
    )


def _is_default(strategy):
    return strategy is tf.distribute.get_strategy()
