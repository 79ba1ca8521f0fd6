"""Which runs are made, in which order, and how their ends are recorded."""

import re
import sys

import pytest

from bt_keras import StoppedError, UsageError, config
from bt_keras.studies.queue import Outcome, Queue
from bt_keras.studies.run_queue import run_queue

# Stands for the command that makes a run.
RUN = """
import os, pathlib, signal, sys
from bt_keras.studies.queue import Outcome, Queue
queue, name = Queue(sys.argv[1]), sys.argv[2]
with (queue.path / "order").open("a") as file:
    file.write(name)
print("training", name)
"""
FINISH = 'queue.record(name, Outcome("finished", 1.0, {"loss": 2.0}))'


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path / "queue")
    for name in "abc":
        queue.add(name, config.load("demo"), ())
    return queue


def command(queue, **ends):
    """Returns the function of commands; runs that are not named finish."""

    def make(name):
        code = RUN + ends.get(name, FINISH)
        return [sys.executable, "-c", code, str(queue.path), name]

    return make


def order(queue):
    return (queue.path / "order").read_text()


def statuses(queue):
    outcomes = (queue.outcome(name) for name in queue.names())
    return [outcome and outcome.status for outcome in outcomes]


def test_all_runs_are_made_once(queue, capsys):
    run_queue(queue, command(queue))
    run_queue(queue, command(queue))
    assert order(queue) == "abc"
    assert statuses(queue) == ["finished"] * 3
    assert queue.log("b").read_text() == "training b\n"
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"run {n} of 3, {name}: finished in 1 s"
        for n, name in (*((1, "a"), (2, "b"), (3, "c")),)
    ]


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ('sys.exit("bt-keras: error: no such images.")', "no such images."),
        ("sys.exit(3)", "ended with status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended by signal 9"),
    ],
    ids=["error", "status", "killed"],
)
def test_a_failed_run_does_not_stop_the_others(queue, end, error, capsys):
    run_queue(queue, command(queue, b=end))
    assert order(queue) == "abc"
    assert statuses(queue) == ["finished", "failed", "finished"]
    assert queue.outcome("b").error == error
    ends = rf"run 2 of 3, b: failed in \d+ s: {re.escape(error)}\n"
    assert re.search(ends, capsys.readouterr().out)
    queue.forget_failed()
    run_queue(queue, command(queue))
    assert order(queue) == "abcb"
    assert statuses(queue) == ["finished"] * 3


@pytest.mark.parametrize("status", [75, 130, 143])
def test_a_run_that_was_stopped_stops_the_queue(queue, status):
    with pytest.raises(StoppedError, match="run 2 of 3, b was stopped; the same"):
        run_queue(queue, command(queue, b=f"sys.exit({status})"))
    assert statuses(queue) == ["finished", None, None]
    run_queue(queue, command(queue))
    assert order(queue) == "abbc"


def test_runs_of_other_processes_are_left_to_them(queue, capsys):
    with queue.claimed("a") as is_ours:
        assert is_ours
        run_queue(queue, command(queue))
    assert order(queue) == "bc"
    assert "run 1 of 3, a: another process makes it" in capsys.readouterr().out


def test_a_run_that_another_process_finished_meanwhile(queue, capsys):
    """Its process records nothing and ends with status 0."""
    run_queue(queue, command(queue, b="sys.exit(0)"))
    assert statuses(queue) == ["finished", None, "finished"]
    queue.record("b", Outcome("finished"))
    run_queue(queue, command(queue))
    assert order(queue) == "abc"


def test_an_empty_queue_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="has no runs"):
        run_queue(Queue(tmp_path), lambda name: [])
