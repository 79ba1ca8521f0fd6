from unittest import mock

import pytest
import tensorflow as tf

import bt_keras
from bt_keras.distribution import strategies
from bt_keras.errors import StoppedError


def strategy_of(jobs, task_type, task_id):
    """Returns a mock of a strategy with several workers."""
    kind = tf.distribute.MultiWorkerMirroredStrategy
    strategy = mock.create_autospec(kind, instance=True)
    strategy.cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), task_type=task_type, task_id=task_id
    )
    return strategy


PAIR = {"worker": ["a:1", "b:1"]}
WITH_CHIEF = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


@pytest.mark.parametrize(
    ("jobs", "task", "is_chief", "count"),
    [
        (PAIR, ("worker", 0), True, 2),
        (PAIR, ("worker", 1), False, 2),
        (WITH_CHIEF, ("chief", 0), True, 3),
        (WITH_CHIEF, ("worker", 0), False, 3),
        (WITH_CHIEF, ("worker", 1), False, 3),
        ({"worker": ["a:1"]}, ("worker", 0), True, 1),
    ],
)
def test_exactly_one_worker_is_the_chief(jobs, task, is_chief, count):
    strategy = strategy_of(jobs, *task)
    assert strategies.is_chief(strategy) == is_chief
    assert strategies.num_workers(strategy) == count


def test_other_strategies_have_one_worker(replicas):
    for strategy in (tf.distribute.get_strategy(), replicas(2)):
        assert strategies.is_chief(strategy)
        assert strategies.num_workers(strategy) == 1


LOST = "unhealthy:\n/job:worker/replica:0/task:1, says /job:worker/replica:0/task:0"


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (tf.errors.UnavailableError(None, None, LOST), "worker 1"),
        (tf.errors.UnavailableError(None, None, "reset"), "another worker"),
        (tf.errors.InternalError(None, None, "Collective ops is aborted"), "another"),
        (tf.errors.InvalidArgumentError(None, None, "shapes"), None),
    ],
)
def test_a_lost_worker_is_distinguished_from_other_errors(error, lost):
    found = strategies.lost_worker(error, strategy_of(PAIR, "worker", 0))
    assert (found is None) == (lost is None)
    assert (found or "").startswith(lost or "")
    assert strategies.lost_worker(error, tf.distribute.get_strategy()) is None


def test_a_lost_worker_stops_this_one():
    strategy = strategy_of(PAIR, "worker", 0)
    with (
        pytest.raises(StoppedError, match=r"^worker 1 of the 2 stopped responding; "),
        strategies.stopped_by_lost_workers(strategy),
    ):
        raise tf.errors.UnavailableError(None, None, LOST)
    with (
        pytest.raises(tf.errors.InvalidArgumentError, match="shapes"),
        strategies.stopped_by_lost_workers(strategy),
    ):
        raise tf.errors.InvalidArgumentError(None, None, "shapes")


def test_names_of_strategies():
    assert strategies.make("one") is tf.distribute.get_strategy()
    assert strategies.make("auto") is tf.distribute.get_strategy()  # No GPU, no TPU.
    assert strategies.make("mirrored").num_replicas_in_sync == 4
    with pytest.raises(bt_keras.UsageError, match="horovod"):
        strategies.make("horovod")


def test_auto_continues_without_a_tpu_that_does_not_respond(monkeypatch, caplog):
    def fail():
        raise bt_keras.UsageError("the TPU does not respond.")

    monkeypatch.setattr(strategies, "_has_tpu", lambda: True)
    monkeypatch.setattr(strategies, "_tpu", fail)
    assert strategies.make("auto") is tf.distribute.get_strategy()
    assert "does not respond" in caplog.text


def test_an_error_of_this_worker_is_raised_unchanged():
    with (
        pytest.raises(bt_keras.UsageError, match="mine"),
        strategies.raise_on_all_workers(tf.distribute.get_strategy()),
    ):
        raise bt_keras.UsageError("mine")


def test_an_unused_gpu_is_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(strategies.devices, "gpu_is_unused", lambda: True)
    monkeypatch.setattr(strategies, "_has_tpu", lambda: False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    strategies.make("auto")
    assert "pip install 'tensorflow[and-cuda]'" in caplog.text
