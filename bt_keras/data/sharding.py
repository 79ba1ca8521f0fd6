"""Input pipelines: one for all replicas, or one on each worker for its shard."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bt_keras.distribution import threads


def num_input_pipelines(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes or hosts that make the batches of a strategy."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        local_replicas = len(strategy.extended.worker_devices)
        return strategy.num_replicas_in_sync // local_replicas
    # TPU strategies have hosts.
    return getattr(strategy.extended, "num_hosts", 1)


def plain(make_shard: Callable, length: int) -> tf.data.Dataset:
    """Makes a dataset of whole batches.

    Args:
        make_shard: Function of a tuple (i, k) that returns a `tf.data.Dataset` of the
            i-th of k equal shards of every batch.
        length: Integer. Number of batches, or `tf.data.INFINITE_CARDINALITY`.

    Returns:
        `tf.data.Dataset`.
    """
    return _finish(make_shard((0, 1)), length)


def distributed(
    make_shard: Callable,
    length: int,
    batch_size: int,
    strategy: tf.distribute.Strategy,
) -> tf.distribute.DistributedDataset:
    """Makes a distributed dataset: each worker makes its shard of every batch.

    Args:
        make_shard: See `plain`.
        length: See `plain`.
        batch_size: Integer. Global batch size.
        strategy: `tf.distribute.Strategy`.

    Returns:
        `tf.distribute.DistributedDataset`. All replicas get the same number of rows;
        concatenated in the order of the replicas, they are the whole batch.
    """

    def pipeline(context):
        pipelines = context.num_input_pipelines
        rows = context.get_per_replica_batch_size(batch_size)
        shard = make_shard((context.input_pipeline_id, pipelines))
        shard = shard.rebatch(rows, drop_remainder=True)
        replicas = batch_size // pipelines // rows
        return _finish(shard, length if length < 0 else length * replicas)

    dataset = strategy.distribute_datasets_from_function(pipeline)
    # TensorFlow counts the elements of a pipeline; a step takes one for each local
    # replica. Keras needs the number of steps, otherwise it warns of missing data.
    dataset._cardinality = length
    return dataset


def _finish(dataset, length):
    options = tf.data.Options()
    options.deterministic = True
    # If `fit` distributes a dataset of whole batches, each worker keeps its rows of
    # every batch, which together are the batch of the step. With sharding by file,
    # epochs would depend on the number of workers; without sharding, all workers would
    # train on the same images.
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    # An endless dataset is iterated once: its views are compiled while `fit` traces the
    # step. The iteration of a finite one may never take an element.
    if length == tf.data.INFINITE_CARDINALITY:
        options.experimental_warm_start = True
    # With infinite cardinality, workers do not agree in every step whether the data has
    # ended.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(threads.limited(options))
