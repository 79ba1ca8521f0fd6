import os
import signal
import subprocess
import sys

from bt_keras.files.atomic import atomic_directory
from bt_keras.files.scratch import Scratch, scratch_folder

_WAIT_TO_BE_KILLED = """
import signal, sys
from bt_keras.files.atomic import atomic_directory
with atomic_directory(sys.argv[1]) as temporary:
    (temporary / "file").write_text("half of it")
    print("ready", flush=True)
    signal.pause()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def start(path):
    process = subprocess.Popen(
        [sys.executable, "-c", _WAIT_TO_BE_KILLED, path],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_next_writer_removes_what_a_killed_process_left(tmp_path):
    (tmp_path / ".module-of_me").mkdir()
    (tmp_path / ".module-abcdefgh").mkdir()  # Of this form, but without a lock.
    mine = names(tmp_path)
    process = start(tmp_path / "module")
    (left,) = set(names(tmp_path)) - set(mine)
    with atomic_directory(tmp_path / "module"):
        assert left in names(tmp_path)  # Its process still writes.
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert names(tmp_path) == sorted([*mine, left, "module"])
    with atomic_directory(tmp_path / "module_2"):
        assert left in names(tmp_path)  # Another name.
    with atomic_directory(tmp_path / "module"):
        assert left not in names(tmp_path)
    assert names(tmp_path) == sorted([*mine, "module", "module_2"])


def test_a_folder_in_use_is_not_removed(tmp_path):
    first, second = Scratch(tmp_path), Scratch(tmp_path)
    assert len(names(tmp_path)) == 2
    first.remove()
    assert names(tmp_path) == [second.path.name]
    second.remove()
    assert not names(tmp_path)


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    def unsupported(*_, **__):
        raise OSError(38, "Function not implemented")

    abandoned = Scratch(tmp_path)
    abandoned._lock.close()
    monkeypatch.setattr("filelock.lock_descriptor", unsupported)
    with scratch_folder():
        Scratch(tmp_path).remove()
    assert os.listdir(tmp_path) == [abandoned.path.name]
