import keras
import numpy as np
import tensorflow as tf

import bt_keras
from bt_keras.model import prefetch

DEFAULT = tf.distribute.get_strategy()


def test_batches_are_those_of_the_dataset(gpu_paths):
    finite = tf.data.Dataset.range(5).batch(2)
    ahead = prefetch.to_device(finite.repeat(), DEFAULT)
    assert isinstance(ahead, tf.distribute.DistributedDataset)
    batches = [x.numpy().tolist() for x, _ in zip(ahead, range(4), strict=False)]
    assert batches == [[0, 1], [2, 3], [4], [0, 1]]
    for other in (ahead, finite, np.zeros((4, 2)), None):
        assert prefetch.to_device(other, DEFAULT) is other


def test_a_cpu_gets_the_dataset_itself():
    dataset = tf.data.Dataset.range(5).repeat()
    assert prefetch.to_device(dataset, DEFAULT) is dataset


def test_a_strategy_copies_its_batches_itself(gpu_paths, replicas):
    dataset = tf.data.Dataset.range(5).repeat()
    assert prefetch.to_device(dataset, replicas(2)) is dataset


def test_fit_trains_on_the_same_batches(request):
    """Two epochs of `pairs`, which gives other views in every epoch."""
    losses = []
    for fixture in ("request", "gpu_paths"):
        request.getfixturevalue(fixture)
        keras.utils.set_random_seed(0)
        views = bt_keras.views(8, "small")
        dataset = bt_keras.pairs("shipped", views, 32, split="train[:64]", endless=True)
        pooling = keras.layers.GlobalAveragePooling2D()
        backbone = keras.Sequential(
            [keras.Input((8, 8, 3)), pooling, keras.layers.Dense(8)]
        )
        model = bt_keras.BarlowTwins(backbone, (8,))
        model.compile(bt_keras.LARS(0.1), jit_compile=False)
        model.stacks = None
        losses.append(
            model.fit(dataset, epochs=2, steps_per_epoch=2, verbose=0).history["loss"]
        )
    assert losses[0] == losses[1]
