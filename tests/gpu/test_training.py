"""Steps of a GPU against those of the CPU and those of its other paths.

The tolerances of float32 hold for a sum in another order: 6e-8 for a rounding, some
hundred of them for a gradient that passes through 20 layers of batch norm.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.distribution import devices
from bt_keras.model import prefetch
from tests import processes
from tests.gpu import card, steps

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def of_the_cpu():
    """A step of the CPU."""
    with card.on_cpu():
        return steps.trained()


@pytest.fixture(scope="module")
def of_the_gpu():
    """A step as `fit` runs it on a GPU by default: stacked views, XLA."""
    return steps.trained()


def assert_close(ours, theirs, losses=1e-5, changes=1e-3):
    found = steps.difference(ours, theirs)
    assert found[0] < losses
    assert found[1] < changes


def test_xla_and_stacked_views_are_the_default():
    model = steps.network()
    assert model.jit_compile
    assert model.stacks_views


@pytest.mark.parametrize("stack", [True, False])
@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_step_equals_that_of_the_cpu(of_the_cpu, jit_compile, stack):
    ours = steps.trained(jit_compile=jit_compile, stack=stack)
    assert_close(ours, of_the_cpu)


def test_a_step_in_bfloat16_is_near_that_of_the_cpu(of_the_cpu):
    keras.config.set_dtype_policy("mixed_bfloat16")
    # Eight bits: 4e-3 for a rounding. Gradients of single weights are noise.
    assert_close(steps.trained(), of_the_cpu, losses=5e-2, changes=np.inf)


@pytest.mark.parametrize("count", [2, 4])
def test_replicas_of_a_card_equal_one(of_the_gpu, tmp_path, count):
    """With the collectives that MirroredStrategy chooses for logical devices."""
    file, log = tmp_path / "result.npz", tmp_path / "log"
    arguments = ["-m", "tests.gpu.replicas", count, file]
    processes.finish([processes.start(arguments, log)], [log])
    with np.load(file) as result:
        losses, *changes = (result[name] for name in result.files)
    assert_close((losses, changes), of_the_gpu)
    assert log.read_text().split()[-1] == "CollectiveAllReduce"


def test_prefetched_batches_are_those_of_the_dataset():
    finite = steps.views(3)
    endless = finite.repeat()
    ahead = prefetch.to_device(endless, tf.distribute.get_strategy())
    assert isinstance(ahead, tf.distribute.DistributedDataset)
    (element,) = (views for views, _ in zip(ahead, range(1), strict=False))
    assert element[0].device.endswith(devices.gpus()[0].name)
    # Losses of the first, the second and the third batch.
    optimizer = keras.optimizers.SGD
    fetched = steps.trained(endless, epochs=3, optimizer=optimizer(0.01))
    copied = steps.trained(finite, epochs=3, optimizer=optimizer(0.01))
    assert_close(fetched, copied)


@pytest.mark.parametrize("scale", [2.0**4, 2.0**40])
def test_the_scale_of_a_float16_loss_grows_and_shrinks(scale):
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        bt_keras.LARS(0.1), initial_scale=scale, dynamic_growth_steps=4
    )
    model = steps.network(optimizer)
    before = model.get_weights()
    losses = [model.train_on_batch(*pair)[0] for pair in steps.views(1).repeat(40)]
    assert np.all(np.isfinite(losses))
    after = model.get_weights()
    assert all(np.all(np.isfinite(w)) for w in after)
    assert any(np.any(a != b) for a, b in zip(after, before, strict=True))
    reached = optimizer.dynamic_scale.numpy()
    assert reached > scale if scale < 2**20 else reached < scale
