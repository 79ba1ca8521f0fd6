"""Local and remote paths behave alike; nothing is written to remote ones."""

import os

import pytest

import bt_keras
from bt_keras.files import atomic, storage
from bt_keras.workdir import Workdir
from tests import remote
from tests.cli.commands import one_error_line

REMOTE = "gs://bucket/run"


@pytest.fixture
def roots(tmp_path):
    """The same files on this machine and in the memory of TensorFlow."""
    folder = tmp_path / "local"
    for name in ("a/x.png", "a/b/v1.0/y.jpg", "notes", "z.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return str(folder), remote.upload(folder, tmp_path.name)


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("gs://bucket/a", "gs"),
        ("s3:/bucket", "s3"),  # As pathlib writes s3://.
        ("file:///tmp", ""),
        ("C:\\images", ""),
        ("C:/images", ""),
        ("tfds:cifar10", ""),
        ("a/b://c", ""),
    ],
)
def test_schemes(path, scheme):
    assert storage.scheme(path) == scheme


def test_folders_are_listed_alike(roots):
    def tree(folder):
        with storage.scan(folder) as entries:
            return {
                entry.name: tree(entry.path) if entry.is_dir() else entry.is_file()
                for entry in entries
            }

    local, in_memory = map(tree, roots)
    assert in_memory == local
    assert local["a"] == {"x.png": True, "b": {"v1.0": {"y.jpg": True}}}
    for root in roots:
        assert sorted(storage.names(root)) == ["a", "notes", "z.txt"]
        assert storage.is_dir(f"{root}/a")
        assert storage.exists(f"{root}/a")
        assert not storage.exists(f"{root}/b")
        with pytest.raises(FileNotFoundError):
            storage.names(f"{root}/b")


def test_files_are_read_alike(roots):
    for root in roots:
        contents, status = storage.read(f"{root}/a/x.png")
        assert contents == b"a/x.png"
        assert status == storage.size_and_time(f"{root}/a/x.png")
        assert status[0] == 7
        with pytest.raises(FileNotFoundError) as error:
            storage.read(f"{root}/missing")
        assert error.value.strerror == os.strerror(error.value.errno)


def test_copies(roots, tmp_path):
    local, in_memory = roots
    storage.copy(in_memory, tmp_path / "all", max_bytes=100)
    storage.copy(f"{in_memory}/z.txt", tmp_path / "one", max_bytes=5)
    assert (tmp_path / "one").read_bytes() == b"z.txt"
    for folder, _, files in os.walk(local):
        copied = os.path.join(tmp_path, "all", os.path.relpath(folder, local))
        assert sorted(os.listdir(copied)) == sorted(os.listdir(folder))
        for name in files:
            with open(os.path.join(copied, name), "rb") as file:
                assert file.read() == storage.read(os.path.join(folder, name))[0]
    with pytest.raises(ValueError, match="more than 4 bytes"):
        storage.copy(f"{in_memory}/z.txt", tmp_path / "large", max_bytes=4)


def test_a_file_system_that_does_not_exist_is_named():
    with pytest.raises(bt_keras.UsageError, match="no file system for none://"):
        storage.exists("none://bucket/a")


@pytest.mark.parametrize(
    "write",
    [
        Workdir,
        atomic.check_free,
        atomic.check_empty,
        lambda path: atomic.atomic_file(path).__enter__(),
        lambda path: atomic.atomic_directory(path).__enter__(),
    ],
)
def test_nothing_is_written_to_a_remote_path(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(bt_keras.UsageError, match="gs://bucket/run is on gs://"):
        write(REMOTE)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["pretrain", "--config=demo", f"--workdir={REMOTE}"],
        ["evaluate", "--workdir=run", f"--plot={REMOTE}"],
        ["convert", "--input=a.pth", f"--output={REMOTE}"],
    ],
)
def test_commands_refuse_remote_outputs(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flag = arguments[-1].split("=")[0]
    one_error_line(capsys, arguments, f"{flag} {REMOTE} is on gs://")
    assert not os.listdir(tmp_path)
