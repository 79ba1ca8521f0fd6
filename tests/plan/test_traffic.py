import pytest
import tensorflow as tf

from bt_keras.plan import traffic
from bt_keras.plan.traffic import Traffic
from tests import collectives


@pytest.mark.parametrize("microbatches", [1, 2])
@pytest.mark.parametrize("implementation", ["gram", "correlation"])
def test_the_floats_are_those_of_the_traced_collectives(implementation, microbatches):
    # A second strategy in this process works, since it only traces.
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    model, sizes = collectives.count(
        strategy, implementation, microbatches=microbatches
    )
    width, rows = model.projector.output_shape[-1], collectives.BATCH // 2
    found = traffic.of_step(model, rows, width, implementation)
    floats = {"Gather": 0, "Reduce": 0}
    for (kind, elements), count in sizes.items():
        floats[kind] += count * elements
    assert found.loss_gathered == floats["Gather"]
    reduced = found.loss_reduced + found.batch_norm + found.gradients
    assert reduced == floats["Reduce"]


def test_bytes_are_those_of_rings():
    sent = Traffic(loss_gathered=5, loss_reduced=8, batch_norm=16, gradients=40)
    assert sent.bytes_sent(1) == 0
    # Each replica passes on the parts of 3 others; sums go around twice.
    assert sent.bytes_sent(4) == 4 * (3 * 5 + 2 * 3 * (8 + 16 + 40) // 4)
