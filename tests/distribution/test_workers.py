"""Two workers on the loopback interface compute what one device computes."""

import numpy as np
import pytest
import tensorflow as tf

from tests import processes
from tests.conftest import relative_error
from tests.distribution import worker

pytestmark = pytest.mark.slow  # Starts two processes.


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """The results of each of two workers."""
    folder = tmp_path_factory.mktemp("workers")
    logs = [folder / f"{index}.log" for index in range(2)]
    program = ["-m", "tests.distribution.worker", folder / "out"]
    processes.finish(processes.start_workers(program, logs), logs)
    results = []
    for index in range(2):
        # Keras's callbacks have written one file per worker.
        assert "val_loss" in (folder / f"out-{index}.csv").read_text()
        assert (folder / f"out-{index}.keras").stat().st_size > 0
        with np.load(folder / f"out-{index}.npz") as file:
            results.append(dict(file))
    return results


@pytest.mark.parametrize("implementation", ["gram", "correlation"])
def test_loss_and_gradients_equal_one_device(workers, implementation):
    alone = worker.losses(tf.distribute.get_strategy())
    for name in ("loss", "invariance", "redundancy"):
        for results in workers:
            key = f"{implementation}/{name}"
            assert relative_error(results[key], alone[key]) < 1e-5, name
    for name in ("grad_a", "grad_b"):
        key = f"{implementation}/{name}"
        rows = np.concatenate([results[key] for results in workers])
        assert relative_error(rows, alone[key]) < 1e-5, name


def test_five_steps_of_fit_equal_one_device(workers):
    """Each worker reads its half of `pairs`, in training and in validation."""
    alone = worker.trained(tf.distribute.get_strategy())
    compared = 0
    for key, expected in alone.items():
        if key.startswith(("logs/", "state/")):
            for results in workers:
                np.testing.assert_allclose(
                    results[key], expected, rtol=1e-4, atol=1e-6, err_msg=key
                )
            compared += 1
    assert "logs/val_loss" in alone
    assert any("momentum" in key for key in alone)
    assert any("moving_variance" in key for key in alone)
    assert compared == len(alone)


def test_a_nest_trains_as_on_one_device(workers):
    alone = worker.trained_on_a_nest(tf.distribute.get_strategy())
    assert "nest/logs/val_loss" in alone
    for key, expected in alone.items():
        for results in workers:
            np.testing.assert_allclose(
                results[key], expected, rtol=1e-4, atol=1e-5, err_msg=key
            )


def test_both_workers_have_the_same_weights(workers):
    for key, value in workers[0].items():
        if "state/" in key:
            np.testing.assert_array_equal(value, workers[1][key], err_msg=key)
