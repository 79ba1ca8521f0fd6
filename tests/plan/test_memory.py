import dataclasses

import keras
import pytest

from bt_keras.plan import memory
from bt_keras.plan.memory import Memory

PARTS = Memory(
    weights=10,
    slots=20,
    gradients=40,
    views=100,
    activations=1000,
    passed_back=200,
    loss=300,
    update=5,
)


def test_variables_have_the_bytes_of_their_dtypes():
    variables = [
        keras.Variable([[1.0, 2.0], [3.0, 4.0]]),
        keras.Variable([1, 2, 3], dtype="int64"),
        keras.Variable(1.0, dtype="bfloat16"),
    ]
    arrays = [variable.numpy().nbytes for variable in variables]
    assert memory.of_variables(variables) == sum(arrays) == 4 * 4 + 3 * 8 + 2


def test_the_peak_is_in_the_backward_pass_or_in_the_update():
    assert PARTS.total == 10 + 20 + 40 + 100 + 1000 + 200 + 300
    large = dataclasses.replace(PARTS, update=5000)
    assert large.total == 10 + 20 + 40 + 5000


def test_microbatches_divide_activations_and_add_up_gradients():
    assert PARTS.with_microbatches(4) == 10 + 20 + 2 * 40 + 100 + 250 + 50 + 300


def test_gathered_rows_grow_with_the_replicas_and_own_rows_do_not():
    one = memory.of_loss(rows=64, batch=64, width=1000, implementation="gram")
    four = memory.of_loss(rows=64, batch=256, width=1000, implementation="gram")
    assert four - one == 4 * (2 * 256 * 1000 + 2 * 64 * (256 - 64))


def test_the_correlation_is_held_in_blocks():
    wide = memory.of_loss(8, 8, 40_000, "correlation")
    assert 4 * 8 * 40_000 < wide < 4 * 40_000**2


@pytest.mark.parametrize(("replicas", "packed"), [(1, 0), (2, 4 * 33)])
def test_the_update_holds_the_largest_variables_and_packed_gradients(replicas, packed):
    variables = [keras.Variable([0.0] * size) for size in (3, 20, 10)]
    assert memory.of_update(variables, replicas) == packed + 2 * 4 * 30
