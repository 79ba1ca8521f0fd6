"""Workers agree on settings and get the result of the start check."""

import json
import subprocess
import sys
import threading

import pytest

from bt_keras import UsageError
from bt_keras.distribution.cluster import Cluster
from bt_keras.distribution.rendezvous import meet
from tests.distribution.meeting import (
    LONG,
    SETTINGS,
    addresses,
    error_of,
    is_free,
    port_of,
)


def test_all_workers_get_the_result_of_the_start_check(meeting):
    three = meeting(3)
    calls = []

    def start_check():
        calls.append(threading.get_ident())
        return {"epoch": 3, "files": ("a", "b")}

    futures = [three.join(i, start_check=start_check) for i in (2, 0, 1)]
    expected = {"epoch": 3, "files": ["a", "b"]}
    assert [f.result() for f in futures] == [expected] * 3
    assert len(calls) == 1
    assert all(is_free(port_of(address)) for address in three.workers)


def test_a_start_check_may_return_many_megabytes(meeting):
    two = meeting(2)
    futures = [two.join(i, start_check=lambda: "x" * 5_000_000) for i in range(2)]
    assert [len(f.result()) for f in futures] == [5_000_000] * 2


def test_without_a_start_check_the_result_is_none(meeting):
    two = meeting(2)
    futures = [two.join(i) for i in range(2)]
    assert [f.result() for f in futures] == [None, None]


def test_the_same_ports_can_be_used_repeatedly(meeting):
    three = meeting(3)
    for number in range(5):
        futures = [three.join(i, start_check=lambda n=number: n) for i in range(3)]
        assert [f.result() for f in futures] == [number] * 3


def test_processes_do_not_import_tensorflow():
    code = (
        "import sys; from bt_keras.distribution.cluster import from_environment; "
        "from bt_keras.distribution.rendezvous import meet; "
        f"print(meet(from_environment(), {SETTINGS}, {LONG}, lambda: 7)); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    workers = addresses(2)
    processes = []
    for index in range(2):
        config = {
            "cluster": {"worker": workers},
            "task": {"type": "worker", "index": index},
        }
        environment = {"TF_CONFIG": json.dumps(config)}
        command = [sys.executable, "-c", code]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        )
    assert [p.communicate()[0] for p in processes] == [b"7\n"] * 2
    assert [p.returncode for p in processes] == [0, 0]
    assert all(is_free(port_of(address)) for address in workers)


def test_a_cluster_of_one_worker_does_not_wait(meeting):
    one = meeting(1)
    assert one.join(0, timeout=0, start_check=lambda: (1, 2)).result() == [1, 2]
    assert one.join(0, timeout=0).result() is None


def test_different_settings_are_named_on_every_worker(meeting):
    three = meeting(3)
    other = {**SETTINGS, "config.batch_size": 16, "config.new": "x" * 500}
    futures = [three.join(0), three.join(1), three.join(2, other)]
    errors = [error_of(f) for f in futures]
    assert len(set(errors)) == 1
    assert f"{three.name(2)} differs from the chief, {three.name(0)}: " in errors[0]
    assert "config.batch_size is 16, not 8; config.new is" in errors[0]
    assert "..., not (none). " in errors[0]
    assert "tensorflow" not in errors[0]
    assert len(errors[0]) < 500


def test_the_first_few_differences_are_shown(meeting):
    two = meeting(2)
    settings = [{f"f{i}": value for i in range(9)} for value in (True, 1)]
    futures = [two.join(i, own) for i, own in enumerate(settings)]
    shown = "f0 is 1, not true; f1 is 1, not true; f2 is 1, not true; and 6 more."
    assert all(shown in error_of(f) for f in futures)


def test_nan_tuples_and_unicode_compare_equal(meeting):
    two = meeting(2)
    settings = {"nan": float("nan"), "tuple": (1, 2), "text": "ä\n"}
    futures = [two.join(i, settings) for i in range(2)]
    assert [f.result() for f in futures] == [None, None]


def test_different_addresses_in_tf_config_are_named(meeting):
    three = meeting(3)
    chief, last = three.join(0), three.join(2)
    moved = Cluster((*three.workers[:2], "127.0.0.1:1"), 1)
    with pytest.raises(UsageError, match=r"worker 1 .* differs .* cluster.workers is"):
        meet(moved, SETTINGS, LONG)
    assert "cluster.workers" in error_of(chief)
    assert "cluster.workers" in error_of(last)


def test_an_error_of_the_start_check_is_raised_on_all_workers(meeting):
    def start_check():
        raise UsageError("checkpoint epoch-0001.keras is damaged.")

    three = meeting(3)
    futures = [three.join(i, start_check=start_check) for i in range(3)]
    assert {error_of(f) for f in futures} == {"checkpoint epoch-0001.keras is damaged."}


def test_a_chief_that_dies_is_named_at_once(meeting):
    two = meeting(2)
    chief, worker = (two.join(i, start_check=lambda: 1 / 0) for i in (0, 1))
    assert isinstance(chief.exception(), ZeroDivisionError)
    assert f"the chief, {two.name(0)}, accepted the connection, but: " in error_of(
        worker
    )
