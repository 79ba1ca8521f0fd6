"""Steps of a GPU against those of the CPU and those of its other paths.

The tolerances of float32 are ten times what a CPU with a GPU's paths reaches, 5e-5 for
the loss and 6e-4 for a gradient. Most of that is the variance in one pass about a
moving mean of 0, since the features of 16 images of noise differ by little from their
mean. A wrong factor or a missing term is larger by orders of magnitude.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras.distribution import devices
from bt_keras.model import both_views, prefetch
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


def assert_close(ours, theirs, losses=5e-4, changes=6e-3):
    found = steps.difference(ours, theirs)
    assert found[0] < losses
    assert found[1] < changes


def test_xla_and_stacked_views_are_the_default():
    model = steps.network()
    assert model.jit_compile
    assert model.stacks == both_views.VIEWS


def test_a_step_equals_that_of_the_cpu(of_the_gpu, of_the_cpu):
    assert_close(of_the_gpu, of_the_cpu)


@pytest.mark.parametrize(
    ("jit_compile", "stack"), [(True, False), (False, True), (False, False)]
)
def test_other_steps_equal_that_of_the_cpu(of_the_cpu, jit_compile, stack):
    """Without stacked views; with XLA only for the parts of batch norm."""
    ours = steps.trained(jit_compile=jit_compile, stack=stack)
    assert_close(ours, of_the_cpu)


def test_a_step_in_bfloat16_points_where_that_of_the_cpu_does(of_the_cpu):
    keras.config.set_dtype_policy("mixed_bfloat16")
    losses, changes = steps.trained()
    # A rounding is 4e-3, and differences between the images are as small.
    np.testing.assert_allclose(losses, of_the_cpu[0], rtol=0.2)
    ours, theirs = (
        np.concatenate([c.ravel() for c in made]) for made in (changes, of_the_cpu[1])
    )
    cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert cosine > 0.5


@pytest.mark.parametrize("count", [2, 4])
def test_replicas_of_a_card_equal_one(of_the_gpu, tmp_path, count):
    """With the collectives that MirroredStrategy chooses for logical devices."""
    file, log = tmp_path / "result.npz", tmp_path / "log"
    arguments = ["-m", "tests.gpu.replicas", count, file]
    processes.finish([processes.start(arguments, log)], [log])
    with np.load(file) as saved:
        result = dict(saved)
    print(f"collectives: {result.pop('reduction')}")
    losses, *changes = result.values()
    assert_close((losses, changes), of_the_gpu)


def test_prefetched_batches_are_those_of_the_dataset():
    finite = steps.views(3)
    endless = finite.repeat()
    ahead = prefetch.to_device(endless, tf.distribute.get_strategy())
    assert isinstance(ahead, tf.distribute.DistributedDataset)
    (element,) = (views for views, _ in zip(ahead, range(1), strict=False))
    assert element[0].device.endswith(devices.gpus()[0].name)
    # Losses of the first, the second and the third batch.
    optimizer = keras.optimizers.SGD
    fetched, copied = (
        steps.trained(data, epochs=3, optimizer=optimizer(0.01), jit_compile=False)
        for data in (endless, finite)
    )
    assert_close(fetched, copied)


def test_the_scale_of_a_float16_loss_shrinks_and_grows():
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(
        bt_keras.LARS(0.1), initial_scale=2.0**40, dynamic_growth_steps=4
    )
    model = steps.network(optimizer)
    before = [v.numpy() for v in model.trainable_variables]
    (pair,) = steps.views(1)

    def step():
        loss = model.train_on_batch(*pair)[0]
        weights = [v.numpy() for v in model.trainable_variables]
        assert all(np.all(np.isfinite(w)) for w in (loss, *weights))
        return any(np.any(a != b) for a, b in zip(weights, before, strict=True))

    assert not step()  # Gradients of 2**40 times the loss are infinite.
    assert optimizer.dynamic_scale.numpy() == 2.0**39
    assert any(step() for _ in range(40))
    low = 2.0**4
    optimizer.dynamic_scale.assign(low)
    for _ in range(8):
        step()
    assert optimizer.dynamic_scale.numpy() > low
