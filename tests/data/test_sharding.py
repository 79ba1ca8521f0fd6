"""Workers' shares of the batches: which rows, with which pixels, at which cost."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.augmentation.views import views
from bt_keras.data import load, pairs, sharding
from bt_keras.data import source as source_module
from bt_keras.data.batches import batches
from bt_keras.errors import UsageError
from tests.data import files
from tests.data.plain import Plain, in_memory


def steps(source, views, part, batch_size=4, first_step=1, length=4):
    """Ten images are two steps an epoch: these begin and end in the middle of one."""
    starts = tf.data.Dataset.from_tensors(tf.constant(first_step, tf.int64))
    return files.arrays(batches(source, views, batch_size, 3, starts, length, part))


def assert_shares_are_the_whole(source, views, parts):
    whole = steps(source, views, (0, 1))
    shares = [steps(source, views, (index, parts)) for index in range(parts)]
    together = [
        tuple(map(np.concatenate, zip(*step, strict=True)))
        for step in zip(*shares, strict=True)
    ]
    assert len(whole) == len(together) == 4
    files.assert_equal(together, whole)


@pytest.mark.parametrize("parts", [2, 4])
def test_the_shares_of_all_workers_are_the_batches(source, parts):
    assert_shares_are_the_whole(source, Plain(), parts)


@pytest.mark.parametrize("sizes", ["one", "many"])
def test_shares_of_real_views(tmp_path, sizes):
    size = (9, 7) if sizes == "one" else None
    source = load(files.write_many(tmp_path / sizes, 10, size=size))
    assert_shares_are_the_whole(source, views(8, "small"), 2)


@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("sizes", ["one", "many"])
def test_only_the_images_of_the_share_are_decoded(tmp_path, monkeypatch, parts, sizes):
    monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    size = (9, 7) if sizes == "one" else None
    source = load(files.write_many(tmp_path / sizes, 10, size=size))
    decoded = []

    def decode(record):
        path = record["path"]
        [path] = tf.py_function(lambda p: [decoded.append(p) or p], [path], [tf.string])
        return source.decode({**record, "path": tf.ensure_shape(path, ())})

    counting = dataclasses.replace(source, decode=decode)
    steps(counting, Plain(), (parts - 1, parts))
    # Four steps of four images.
    assert len(decoded) == 16 // parts


def test_the_share_is_gathered_from_images_in_memory():
    seen = []

    class Spy(Plain):
        def crop(self, images, *arguments, **named):
            seen.append(images.shape[0])
            return super().crop(images, *arguments, **named)

    steps(in_memory(), Spy(), (1, 2))
    assert set(seen) == {2}


def together(strategy, dataset):
    """What the replicas get, one after the other."""
    return [
        tuple(
            np.concatenate(strategy.experimental_local_results(view)) for view in pair
        )
        for pair in dataset
    ]


@pytest.fixture
def several_pipelines(replicas, monkeypatch):
    """A strategy that is taken for one of several workers, of which this is all."""
    monkeypatch.setattr(sharding, "num_input_pipelines", lambda strategy: 2)
    return replicas(2)


def test_replicas_of_a_worker_get_its_share_in_order(several_pipelines, source):
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


def test_replicas_must_be_able_to_share_a_batch(replicas):
    message = "batch_size is 10, which the strategy's 4 replicas cannot share equally"
    with replicas(4).scope(), pytest.raises(UsageError, match=message) as error:
        pairs(in_memory(), Plain(), 10)
    assert str(error.value).endswith("give a multiple of 4.")


def test_one_process_is_one_pipeline(replicas):
    strategies = [tf.distribute.get_strategy(), replicas(2)]
    strategies.append(tf.distribute.OneDeviceStrategy("CPU:0"))
    assert [sharding.num_input_pipelines(s) for s in strategies] == [1, 1, 1]
