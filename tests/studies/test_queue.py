import csv
import json
import math
import subprocess
import sys

import pytest

from bt_keras import UsageError, config
from bt_keras.studies.queue import Outcome, Queue

HOLD = """
import sys, time
from bt_keras.studies.queue import Queue
with Queue(sys.argv[1]).claimed(sys.argv[2]) as is_ours:
    print(is_ours, flush=True)
    time.sleep(1000)
"""


def recipe(**fields):
    made = config.load("demo")
    made.update(fields)
    return made


@pytest.fixture
def queue(tmp_path):
    queue = Queue(tmp_path / "queue")
    for name, lambd in (("b", 0.02), ("a", 0.01), ("c", 0.03)):
        queue.add(name, recipe(lambd=lambd, projector=(8, 8)), ("cached",))
    return queue


def rows(queue):
    with queue.results_file.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_an_entry_is_read_as_it_was_added(queue):
    assert queue.names() == ["a", "b", "c"]
    made, evaluations = queue.entry("b")
    assert evaluations == ("cached",)
    assert config.differences(made, recipe(lambd=0.02, projector=(8, 8))) == []
    queue.add("b", recipe(lambd=0.02, projector=(8, 8)), ("cached",))
    assert queue.names() == ["a", "b", "c"]


def test_an_entry_of_an_earlier_version_lacks_fields(queue):
    path = queue.path / "entries" / "b.json"
    entry = json.loads(path.read_text())
    del entry["config"]["method"]
    path.write_text(json.dumps(entry))
    queue.add("b", recipe(lambd=0.02, projector=(8, 8)), ("cached",))


def test_another_run_of_the_same_name_is_an_error(queue):
    for fields, evaluations, changed in (
        ({"lambd": 0.5}, ("cached",), "lambd"),
        ({}, ("full",), "evaluations"),
    ):
        made = recipe(**{"lambd": 0.02, "projector": (8, 8), **fields})
        with pytest.raises(UsageError, match=f"has another run 'b' .*'{changed}'"):
            queue.add("b", made, evaluations)


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".a", "a b", "a" * 101])
def test_names_are_those_of_files(queue, name):
    with pytest.raises(UsageError, match="take a name"):
        queue.add(name, recipe(), ())


def test_a_config_that_no_run_can_use_is_an_error(queue):
    with pytest.raises(UsageError, match=r"run 'd' .*config\.lambd"):
        queue.add("d", recipe(lambd=-1.0), ())


def test_results_grow_with_every_run(queue):
    queue.record("c", Outcome("finished", 3.21, {"knn top1": 0.5, "loss": math.inf}))
    assert rows(queue) == [
        {
            **{"run": "c", "status": "finished", "lambd": "0.03", "knn top1": "0.5"},
            **{"loss": "inf", "seconds": "3.2", "error": ""},
        }
    ]
    queue.record("a", Outcome("failed", 1.0, error="no images"))
    queue.record("b", Outcome("finished", 2.0, {"linear top1": 0.7}))
    found = rows(queue)
    assert [row["run"] for row in found] == ["a", "b", "c"]
    assert [row["error"] for row in found] == ["no images", "", ""]
    assert [row["linear top1"] for row in found] == ["", "0.7", ""]
    assert queue.outcome("c").values == {"knn top1": 0.5, "loss": math.inf}
    assert "projector" not in found[0]


def test_failed_runs_are_forgotten(queue):
    queue.record("a", Outcome("failed", error="no images"))
    queue.record("b", Outcome("finished"))
    queue.forget_failed()
    assert queue.outcome("a") is None
    assert queue.outcome("b").status == "finished"


def test_a_run_belongs_to_one_process_until_that_ends(queue):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(queue.path), "a"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "True\n"
        with queue.claimed("a") as is_ours, queue.claimed("b") as is_other:
            assert (is_ours, is_other) == (False, True)
    finally:
        process.kill()
        process.communicate()
    with queue.claimed("a") as is_ours:
        assert is_ours


def test_damaged_files_are_named(queue):
    queue.record("a", Outcome("finished"))
    for folder in ("entries", "outcomes"):
        (queue.path / folder / "a.json").write_text("{")
    with pytest.raises(UsageError, match=r"entries.a\.json"):
        queue.entry("a")
    for text in ("{", json.dumps({"state": 1})):
        (queue.path / "outcomes" / "a.json").write_text(text)
        with pytest.raises(UsageError, match=r"outcomes.a\.json"):
            queue.outcome("a")


def test_runs_that_do_not_exist(queue, tmp_path):
    with pytest.raises(UsageError, match="no run 'z'"):
        queue.entry("z")
    with pytest.raises(UsageError, match="has no runs"):
        Queue(tmp_path / "other").require_runs()
    with pytest.raises(UsageError, match="queue gs://a/b"):
        Queue("gs://a/b")
