"""Who makes the batches: one process for all replicas, or each worker its share."""

import tensorflow as tf


def num_input_pipelines(strategy):
    """Returns int, how many processes or hosts make the batches of a strategy."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        local_replicas = len(strategy.extended.worker_devices)
        return strategy.num_replicas_in_sync // local_replicas
    # Of a TPU.
    return getattr(strategy.extended, "num_hosts", 1)


def plain(make_part, length):
    """A dataset of whole batches.

    Args:
        make_part: function of (i, k) that returns a `tf.data.Dataset` of the i-th of k
            equal parts of every batch.
        length: int. How many batches, or `tf.data.INFINITE_CARDINALITY`.

    Returns:
        `tf.data.Dataset`.
    """
    return _ready(make_part((0, 1)), length)


def distributed(make_part, length, batch_size, strategy):
    """A dataset of whole batches, of which each worker makes its share.

    Args:
        make_part: as for `plain`.
        length: as for `plain`.
        batch_size: int. The size of whole batches.
        strategy: `tf.distribute.Strategy`.

    Returns:
        `tf.distribute.DistributedDataset`. A replica gets as many rows as any other,
        and the batches of all replicas, in their order, are the whole batch.
    """

    def pipeline(context):
        pipelines = context.num_input_pipelines
        rows = context.get_per_replica_batch_size(batch_size)
        share = make_part((context.input_pipeline_id, pipelines))
        share = share.rebatch(rows, drop_remainder=True)
        replicas = batch_size // pipelines // rows
        return _ready(share, length if length < 0 else length * replicas)

    dataset = strategy.distribute_datasets_from_function(pipeline)
    # TensorFlow counts the elements of a pipeline, of which a step takes one for each
    # of its replicas. Keras needs to know the steps, or it warns of missing ones.
    dataset._cardinality = length
    return dataset


def _ready(dataset, length):
    options = tf.data.Options()
    options.deterministic = True
    # Where `fit` distributes a dataset of whole batches, each worker keeps its part of
    # every batch: then the workers' batches together are the batch of the step. By
    # file, epochs would depend on the number of workers; unsharded, all of them would
    # train on the same images.
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    # Known to be endless, a dataset is not asked on all workers in every step whether
    # it goes on.
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)
