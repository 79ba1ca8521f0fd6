import keras
import numpy as np
import tensorflow as tf

import bt_keras
from bt_keras.model import prefetch

DEFAULT = tf.distribute.get_strategy()


def test_batches_are_those_of_the_dataset(gpu_paths):
    dataset = tf.data.Dataset.range(5).batch(2)
    ahead = prefetch.to_device(dataset, DEFAULT)
    assert isinstance(ahead, tf.distribute.DistributedDataset)
    assert ahead.cardinality == 3
    assert [x.numpy().tolist() for x in ahead] == [[0, 1], [2, 3], [4]]
    assert prefetch.to_device(ahead, DEFAULT) is ahead
    array = np.zeros((4, 2))
    assert prefetch.to_device(array, DEFAULT) is array


def test_a_cpu_gets_the_dataset_itself():
    dataset = tf.data.Dataset.range(5)
    assert prefetch.to_device(dataset, DEFAULT) is dataset


def test_a_strategy_copies_its_batches_itself(gpu_paths, replicas):
    dataset = tf.data.Dataset.range(5)
    assert prefetch.to_device(dataset, replicas(2)) is dataset


def test_fit_trains_on_the_same_batches(request):
    """Two epochs of `pairs`, which gives other views in every epoch."""
    losses = []
    for fixture in ("request", "gpu_paths"):
        request.getfixturevalue(fixture)
        keras.utils.set_random_seed(0)
        views = bt_keras.views(8, "small")
        dataset = bt_keras.pairs("shipped", views, 32, split="train[:64]")
        pooling = keras.layers.GlobalAveragePooling2D()
        backbone = keras.Sequential(
            [keras.Input((8, 8, 3)), pooling, keras.layers.Dense(8)]
        )
        model = bt_keras.BarlowTwins(backbone, (8,))
        model.compile(bt_keras.LARS(0.1), jit_compile=False)
        model.stacks_views = False
        losses.append(model.fit(dataset, epochs=2, verbose=0).history["loss"])
    assert losses[0] == losses[1]
