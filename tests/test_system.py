import errno
import os
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from bt_keras import system
from bt_keras.checkpoint import store
from bt_keras.errors import UsageError
from bt_keras.evaluation import results
from bt_keras.workdir import Workdir
from tests import windows

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


def windows_error(number):
    error = PermissionError(errno.EACCES, "Permission denied")
    error.winerror = number
    return error


def test_a_file_that_a_virus_scanner_has_open_is_replaced_a_little_later(
    tmp_path, monkeypatch
):
    new, old = tmp_path / "new", tmp_path / "old"
    new.write_text("new")
    old.write_text("old")
    rename, pauses = os.replace, []

    def refuse(source, target):
        if len(pauses) < 3:
            raise windows_error(32)
        rename(source, target)

    monkeypatch.setattr("os.replace", refuse)
    monkeypatch.setattr(system.time, "sleep", pauses.append)
    system.replace(new, old)
    assert old.read_text() == "new"
    assert len(pauses) == 3


def test_a_file_that_stays_open_is_not_replaced(tmp_path, monkeypatch):
    def refuse(source, target):
        raise windows_error(5)

    pauses = []
    monkeypatch.setattr("os.replace", refuse)
    monkeypatch.setattr(system.time, "sleep", pauses.append)
    workdir = Workdir(tmp_path)
    with pytest.raises(UsageError, match=r"log\.csv cannot be written \(Permission"):
        workdir.replace(workdir.log_file, "text")
    assert 1 < sum(pauses) < 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("entries", [0, 1])
def test_only_an_empty_folder_is_replaced(tmp_path, monkeypatch, entries):
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
    (new / "file").write_text("new")
    for number in range(entries):
        (old / str(number)).write_text("mine")
    rename = os.replace

    def refuse(source, target):
        if target.exists():
            raise windows_error(5)
        rename(source, target)

    monkeypatch.setattr("os.replace", refuse)
    if entries:
        with pytest.raises(OSError, match="not empty"):
            system.replace(new, old)
        assert (old / "0").read_text() == "mine"
    else:
        system.replace(new, old)
        assert (old / "file").read_text() == "new"


def test_a_file_does_not_replace_a_folder(tmp_path, monkeypatch):
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").mkdir()

    def refuse(source, target):
        raise windows_error(5)

    monkeypatch.setattr("os.replace", refuse)
    monkeypatch.setattr(system.time, "sleep", lambda seconds: None)
    with pytest.raises(PermissionError):
        system.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").is_dir()


def test_missing_permission_is_reported_at_once(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    def no_pause(seconds):
        raise AssertionError("waits")

    monkeypatch.setattr("os.replace", refuse)
    monkeypatch.setattr(system.time, "sleep", no_pause)
    with pytest.raises(PermissionError):
        system.replace(tmp_path / "new", tmp_path / "old")


def test_a_folder_that_cannot_be_opened_is_not_synced(tmp_path, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    (tmp_path / "file").write_text("contents")
    monkeypatch.setattr("os.open", refuse)
    system.sync(tmp_path)
    with pytest.raises(PermissionError):
        system.sync(tmp_path / "file")


def test_a_file_is_flushed_through_a_handle_for_writing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("contents")
    modes = []

    def record(descriptor):
        modes.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        os.write(descriptor, b"C")

    monkeypatch.setattr("os.fsync", record)
    system.sync(tmp_path / "file")
    assert modes == [str(tmp_path / "file")]
    assert (tmp_path / "file").read_text() == "Contents"


def test_an_old_checkpoint_that_another_process_reads_stays(tmp_path, monkeypatch):
    paths = [tmp_path / f"epoch-{epoch:04d}.keras" for epoch in (1, 2, 3)]
    for path in paths:
        path.write_bytes(b"")
    unlink, opened = os.unlink, {paths[0]}

    def refuse(path):
        if path in opened:
            raise windows_error(32)
        unlink(path)

    monkeypatch.setattr("os.unlink", refuse)
    store.prune(tmp_path, keep=1, keep_every=0)
    assert sorted(tmp_path.iterdir()) == [paths[0], paths[2]]
    opened.clear()
    store.prune(tmp_path, keep=1, keep_every=0)
    assert sorted(tmp_path.iterdir()) == [paths[2]]


def test_files_have_the_same_order_everywhere(tmp_path):
    for name in ("b", "A", "a-b", "a/c", "B.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    names = [p.relative_to(tmp_path).as_posix() for p in system.entries(tmp_path)]
    assert names == ["A", "B.txt", "a", "a/c", "a-b", "b"]


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"BT_KERAS_CACHE": "/a"}, "/a"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/bt_keras"),
        (
            "linux",
            {"XDG_CACHE_HOME": "relative", "HOME": "/h"},
            "/h/.cache/bt_keras",
        ),
        ("linux", {"HOME": "/h"}, "/h/.cache/bt_keras"),
        ("linux", {"BT_KERAS_CACHE": "~no-such-user/a"}, "None"),
        ("darwin", {"HOME": "/h"}, "/h/Library/Caches/bt_keras"),
        ("win32", {"LOCALAPPDATA": "/h/Local"}, "/h/Local/bt_keras"),
        ("win32", {"HOME": "/h"}, "/h/AppData/Local/bt_keras"),
    ],
)
def test_the_cache_folder(monkeypatch, platform, environment, expected):
    monkeypatch.setattr(system.sys, "platform", platform)
    for name in ("BT_KERAS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(system.cache_folder()) == expected


def test_names_in_the_package_exist_on_every_system():
    root = Path(system.__file__).parent
    names = [str(path.relative_to(root)) for path in root.rglob("*.*")]
    assert len({name.lower() for name in names}) == len(names) > 100
    assert not windows.wrong_names(root)
