import errno
import subprocess
import sys

import filelock
import pytest

from bt_keras import system
from bt_keras.errors import UsageError
from bt_keras.evaluation import results
from bt_keras.workdir import Workdir

_HOLD = """
import sys, time
from bt_keras import system
with open(sys.argv[1], "ab") as file:
    print(system.try_lock(file), flush=True)
    time.sleep(1000)
"""
RESULT = results.Result("knn", "top1", 0.5, n=10, backbone="b", epoch="1", source="s")


@pytest.fixture
def hold():
    """Starts a process that holds the lock of a file until it is killed."""
    processes = []

    def start(path):
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "True\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_the_system_releases_the_lock_of_a_killed_process(tmp_path, hold):
    workdir = Workdir(tmp_path)
    workdir.lock_file.write_text("")  # As a run of an earlier version leaves it.
    process = hold(workdir.lock_file)
    with pytest.raises(UsageError, match="in use: another process trains there"):
        workdir.check_start(None)
    process.kill()
    process.wait()
    workdir.check_start(None)
    with workdir.locked(), pytest.raises(UsageError, match="in use"):
        workdir.check_start(None)


def test_a_wait_for_a_lock_ends_with_the_other_process(
    tmp_path, hold, capsys, monkeypatch
):
    process = hold(tmp_path / "lock")
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 30:
            process.kill()
            process.wait()

    monkeypatch.setattr(system.time, "sleep", pause)
    with system.locked(tmp_path / "lock", "waiting for it"):
        assert len(pauses) == 30
    assert capsys.readouterr().out == "waiting for it\n"


def test_results_of_two_processes_are_written_one_after_the_other(
    tmp_path, hold, monkeypatch
):
    process = hold(tmp_path / ".results.csv.lock")
    path = tmp_path / "results.csv"

    def pause(seconds):
        assert not path.exists()
        process.kill()
        process.wait()

    monkeypatch.setattr(system.time, "sleep", pause)
    results.append(path, [RESULT])
    assert results.read(path) == [RESULT]


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*arguments, **named):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock, "lock_descriptor", refuse)
    workdir = Workdir(tmp_path)
    with workdir.locked():
        results.append(workdir.results_file, [RESULT])
    assert results.read(workdir.results_file) == [RESULT]


def test_results_can_be_written_where_no_lock_file_can_be_made(tmp_path):
    path = tmp_path / "results.csv"
    (tmp_path / ".results.csv.lock").mkdir()
    results.append(path, [RESULT])
    assert results.read(path) == [RESULT]
