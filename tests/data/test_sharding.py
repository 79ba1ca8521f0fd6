"""Workers' shards of the batches: their rows, pixels and decoded images."""

import dataclasses
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.augmentation.views import views
from bt_keras.data import from_dataset, load, pairs, sharding
from bt_keras.data import source as source_module
from bt_keras.data.batches import batches
from bt_keras.errors import UsageError
from tests.data import files
from tests.data.plain import IMAGES, Plain, in_memory


def steps(source, views, shard, batch_size=4, first_step=1, length=4, labels=False):
    """Four steps; ten images are two steps an epoch, so these span three epochs."""
    starts = tf.data.Dataset.from_tensors(tf.constant(first_step, tf.int64))
    made = batches(source, views, batch_size, 3, starts, length, shard, labels)
    if labels:
        made = made.map(lambda pair, label: (*pair, label))
    return files.arrays(made)


def assert_shards_are_the_batches(source, views, shards, labels=False):
    whole = steps(source, views, (0, 1), labels=labels)
    parts = [
        steps(source, views, (index, shards), labels=labels) for index in range(shards)
    ]
    together = [
        tuple(map(np.concatenate, zip(*step, strict=True)))
        for step in zip(*parts, strict=True)
    ]
    assert len(whole) == len(together) == 4
    files.assert_equal(together, whole)


@pytest.mark.parametrize("shards", [2, 4])
def test_the_shards_of_all_workers_are_the_batches(source, shards):
    assert_shards_are_the_batches(source, Plain(), shards)


@pytest.mark.parametrize("in_memory_bytes", [2**30, 0], ids=["memory", "stream"])
def test_shards_have_the_labels_of_their_images(monkeypatch, in_memory_bytes):
    monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", in_memory_bytes)
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(10)))
    source = from_dataset(dataset, class_names=list("abcdefghij"))
    assert_shards_are_the_batches(source, Plain(), 2, labels=True)
    assert all(
        len(set(labels)) == 4
        for *_, labels in steps(source, Plain(), (0, 1), labels=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["one", "many"])
def test_shards_of_real_views(tmp_path, sizes):
    size = (9, 7) if sizes == "one" else None
    source = load(files.write_many(tmp_path / sizes, 10, size=size))
    assert_shards_are_the_batches(source, views(8, "small"), 2)


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("sizes", ["one", "many"])
def test_only_the_images_of_the_shard_are_decoded(tmp_path, monkeypatch, shards, sizes):
    monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    size = (9, 7) if sizes == "one" else None
    source = load(files.write_many(tmp_path / sizes, 10, size=size))
    decoded = []

    def decode(record):
        path = record["path"]
        [path] = tf.py_function(lambda p: [decoded.append(p) or p], [path], [tf.string])
        return source.decode({**record, "path": tf.ensure_shape(path, ())})

    counting = dataclasses.replace(source, decode=decode)
    steps(counting, Plain(), (shards - 1, shards))
    # Four steps of four images.
    assert len(decoded) == 16 // shards


def test_only_the_shard_is_gathered_from_images_in_memory():
    seen = []

    class Spy(Plain):
        def crop(self, images, *arguments, **named):
            seen.append(images.shape[0])
            return super().crop(images, *arguments, **named)

    steps(in_memory(), Spy(), (1, 2))
    assert set(seen) == {2}


def together(strategy, dataset):
    """Concatenates the batches of the replicas."""
    return [
        tuple(
            np.concatenate(strategy.experimental_local_results(view)) for view in pair
        )
        for pair in dataset
    ]


@pytest.fixture
def several_pipelines(replicas, monkeypatch):
    """A strategy of one worker that is treated like one of several workers."""
    monkeypatch.setattr(sharding, "num_input_pipelines", lambda strategy: 2)
    return replicas(2)


def test_replicas_of_a_worker_get_its_shard_in_order(several_pipelines, source):
    expected = files.take(pairs(source, Plain(), 4, endless=True), 4)
    with several_pipelines.scope():
        dataset = pairs(source, Plain(), 4)
    assert isinstance(dataset, tf.distribute.DistributedDataset)
    found = [together(several_pipelines, dataset) for _ in range(2)]
    files.assert_equal(found, [expected[:2], expected[2:]])


def test_keras_knows_the_steps_of_several_workers(several_pipelines, recwarn):
    seen = []
    with several_pipelines.scope():

        class Spy(keras.Model):
            def train_step(self, batch):
                tf.py_function(lambda s: seen.append(s.numpy()), [batch[1][0, 1]], [])
                return {"loss": tf.constant(0.0)}

            def _maybe_symbolic_build(self, *args, **kwargs):
                pass  # As in `BarlowTwins`: Keras would take a batch, of epoch 0.

        spy = Spy()
        spy.built = True
        spy.compile()
        dataset = pairs(in_memory(), Plain(), 4)
    spy.fit(dataset, epochs=2, verbose=0)
    assert sorted(seen) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert not [w for w in recwarn if "ran out of data" in str(w.message)]


def test_a_plain_function_makes_whole_batches(several_pipelines):
    with several_pipelines.scope():
        dataset = pairs(in_memory(), lambda images, seed: (images, images), 4)
    assert isinstance(dataset, tf.data.Dataset)


def test_a_batch_that_replicas_cannot_share_equally_is_refused(replicas):
    message = "batch_size is 10, which is not divisible by the strategy's 4 replicas"
    with replicas(4).scope(), pytest.raises(UsageError, match=message) as error:
        pairs(in_memory(), Plain(), 10)
    assert str(error.value).endswith("give a multiple of 4.")


def test_one_process_is_one_pipeline(replicas):
    strategies = [tf.distribute.get_strategy(), replicas(2)]
    strategies.append(tf.distribute.OneDeviceStrategy("CPU:0"))
    assert [sharding.num_input_pipelines(s) for s in strategies] == [1, 1, 1]


def test_an_endless_dataset_makes_batches_before_they_are_asked_for():
    made = threading.Event()

    def views(images, seed):
        tf.py_function(made.set, [], [])
        return images, images

    iterator = iter(pairs(in_memory(), views, 4, endless=True))
    assert made.wait(60), "the first batch waits for `next`"
    del iterator
