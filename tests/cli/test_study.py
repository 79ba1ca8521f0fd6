"""`bt-keras study`, on runs that train for seconds."""

import os
import signal
import subprocess
import sys
import time

import pytest

from bt_keras import config as config_lib
from bt_keras.cli import main
from bt_keras.studies.queue import Outcome, Queue
from tests import processes, tiny
from tests.cli.commands import one_error_line, rows

EVALUATIONS = ("cached", "labelfree")
MEASURED = ["knn top1", "linear_cached top1", "labelfree lidar embeddings", "loss"]


def add(queue, name, path, depth=6, **fields):
    config = config_lib.load(tiny.write_config(queue.path / "recipe.py", path, depth))
    config.evaluation.labelfree.augmentations = 4
    config.update(fields)
    queue.add(name, config, EVALUATIONS)


@pytest.fixture
def queue(tmp_path):
    (tmp_path / "queue").mkdir()
    return Queue(tmp_path / "queue")


def test_a_run_in_this_process(queue, images, capsys):
    add(queue, "a", images)
    command = ["study", f"--queue={queue.path}", "--entry=a"]
    with queue.claimed("a"):  # By another process.
        assert main(command) == 0
    assert queue.outcome("a") is None
    assert main(command) == 0
    outcome = queue.outcome("a")
    assert outcome.status == "finished"
    assert set(MEASURED) <= set(outcome.values)
    results = rows(queue.workdir("a").results_file)
    by_metric = {row["metric"]: float(row["value"]) for row in results}
    assert outcome.values["labelfree lidar embeddings"] == by_metric["lidar"]
    [row] = rows(queue.results_file)
    assert float(row["knn top1"]) == outcome.values["knn top1"]
    # A run that has ended is not made again.
    assert main(command) == 0
    assert rows(queue.workdir("a").results_file) == results


def test_the_classes_of_a_method_are_counted(queue, images):
    method = {"name": "bt_keras.studies.methods.supervised.Supervised"}
    add(queue, "a", images, method={**method, "options": {"num_classes": 0}})
    assert main(["study", f"--queue={queue.path}", "--entry=a"]) == 0
    outcome = queue.outcome("a")
    assert outcome.status == "finished"
    assert queue.workdir("a").config().method.options.num_classes == 2
    # The terms are those of the method.
    assert "accuracy" in outcome.values
    assert "redundancy" not in outcome.values


def test_a_run_that_cannot_be_evaluated_does_not_train(queue, images, capsys):
    add(queue, "a", images, data={"test_split": "lost"})
    one_error_line(capsys, ["study", f"--queue={queue.path}", "--entry=a"], "lost")
    assert not queue.workdir("a").path.exists()


def test_bad_input_is_named(queue, images, capsys):
    one_error_line(capsys, ["study", f"--queue={queue.path}"], "no runs")
    one_error_line(capsys, ["study", "--queue="], "--queue is empty")
    add(queue, "a", images)
    command = ["study", f"--queue={queue.path}", "--entry=b"]
    one_error_line(capsys, command, "no run 'b'")


def test_finished_and_failed_runs(queue, images, capsys):
    add(queue, "a", images)
    queue.record("a", Outcome("failed", error="it was Friday"))
    assert main(["study", f"--queue={queue.path}"]) == 0
    assert str(queue.results_file) in capsys.readouterr().out
    [row] = rows(queue.results_file)
    assert (row["status"], row["error"]) == ("failed", "it was Friday")


@pytest.mark.slow
def test_a_queue_with_a_run_that_fails(queue, images, tmp_path, capsys):
    add(queue, "1", images, depth=18)
    add(queue, "2", tmp_path / "none", depth=18)
    add(queue, "3", images, depth=18, lambd=0.25)
    assert main(["study", f"--queue={queue.path}"]) == 0
    first, second, third = rows(queue.results_file)
    assert [row["status"] for row in (first, second, third)] == [
        "finished",
        "failed",
        "finished",
    ]
    assert str(tmp_path / "none") in second["error"]
    assert (first["lambd"], third["lambd"]) == ("0.005", "0.25")
    assert all(first[name] and third[name] and not second[name] for name in MEASURED)
    out = capsys.readouterr().out
    assert "run 2 of 3, 2: failed" in out

    tiny.write_images(tmp_path / "none")
    assert main(["study", f"--queue={queue.path}", "--retry"]) == 0
    assert [row["status"] for row in rows(queue.results_file)] == ["finished"] * 3


@pytest.mark.slow
def test_a_killed_queue_continues_and_two_processes_share_it(queue, images, tmp_path):
    for name in "1234":
        add(queue, name, images, depth=18)
    command = ["-m", "bt_keras.cli", "study", f"--queue={queue.path}"]
    killed = subprocess.Popen(
        [sys.executable, *command], cwd=processes.ROOT, start_new_session=True
    )
    while not list(queue.workdir("1").checkpoints.glob("*.keras")):
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert queue.outcome("1") is None
    logs = [tmp_path / "first", tmp_path / "second"]
    processes.finish([processes.start(command, log) for log in logs], logs)
    assert [row["status"] for row in rows(queue.results_file)] == ["finished"] * 4
    assert "resuming after step" in queue.log("1").read_text()
    for name in "1234":
        measured = [row["metric"] for row in rows(queue.workdir(name).results_file)]
        assert measured.count("lidar") == 1
