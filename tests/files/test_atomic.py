import hashlib
import io

import pytest

import bt_keras
from bt_keras.files import atomic
from bt_keras.files.atomic import atomic_directory, atomic_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file.bin"
    with atomic_file(path) as temporary:
        temporary.write_bytes(b"complete")
        assert not path.exists()
    assert path.read_bytes() == b"complete"
    assert names(path.parent) == ["file.bin"]


@pytest.mark.parametrize("write", [atomic_file, atomic_directory])
@pytest.mark.parametrize("name", ["module", "n" * 255, "\N{SNOWMAN}" * 85])
def test_what_a_killed_process_leaves_is_hidden_and_named(tmp_path, write, name):
    with write(tmp_path / name) as temporary:
        assert temporary.parent.name.startswith(f".{name[:50]}-")
        (temporary / "entry" if temporary.is_dir() else temporary).write_text("text")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("options", [{}, {"replace": True}], ids=str)
def test_a_failure_in_the_body_leaves_the_folder_as_it_was(tmp_path, options):
    path = tmp_path / "file"
    if options:
        path.write_text("old")
    before = names(tmp_path)

    def write():
        with atomic_file(path, **options) as temporary:
            temporary.write_text("new")
            raise OSError(28, "No space left on device")

    with pytest.raises(bt_keras.UsageError, match="No space left"):
        write()
    assert names(tmp_path) == before
    assert not options or path.read_text() == "old"


@pytest.mark.parametrize("write", [atomic_file, atomic_directory])
def test_a_failed_sync_is_a_usage_error(tmp_path, monkeypatch, write):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    opened = write(tmp_path / "name", advice="buy a disk")
    temporary = opened.__enter__()
    file = temporary / "entry" if temporary.is_dir() else temporary
    file.write_text("complete")
    with pytest.raises(bt_keras.UsageError, match=r"No space.*: buy a disk\.$"):
        opened.__exit__(None, None, None)
    assert not names(tmp_path)


def test_existing_files_and_dangling_links_are_not_replaced(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    for name in ("link", "file"):
        with (
            pytest.raises(bt_keras.UsageError, match="exists already"),
            atomic_file(tmp_path / name),
        ):
            pass
    assert names(tmp_path) == ["file", "link"]


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    opened = atomic_file(tmp_path / "file")
    opened.__enter__().write_text("ours")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(bt_keras.UsageError, match="exists already"):
        opened.__exit__(None, None, None)
    assert (tmp_path / "file").read_text() == "mine"
    assert names(tmp_path) == ["file"]


def test_a_replaced_file_and_what_a_killed_process_left(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")
    leftover = tmp_path / "unfinished" / "config.json"
    leftover.parent.mkdir()
    leftover.write_text("half of it")
    with atomic_file(path, replace=True, temporary=leftover) as temporary:
        assert temporary == leftover
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["config.json"]


def test_a_given_temporary_path_is_removed_with_its_folder(tmp_path):
    unfinished = tmp_path / "unfinished" / "checkpoint"
    with atomic_file(tmp_path / "a", temporary=unfinished) as temporary:
        assert temporary == unfinished
        temporary.write_text("complete")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("last", [None, "last"])
def test_a_new_folder_appears_when_it_is_complete(tmp_path, last):
    path = tmp_path / "new" / "module"
    with atomic_directory(path, last=last) as temporary:
        (temporary / "file").write_text("complete")
        assert not path.exists()
    assert (path / "file").read_text() == "complete"
    assert names(path.parent) == ["module"]


@pytest.mark.parametrize("last", [None, "b"])
def test_an_empty_folder_is_filled(tmp_path, last):
    path = tmp_path / "module"
    path.mkdir()
    inode = path.stat().st_ino
    with atomic_directory(path, last=last) as temporary:
        for name in "abc":
            (temporary / name).write_text(name)
    assert names(path) == ["a", "b", "c"]
    assert (path.stat().st_ino == inode) == bool(last)


def test_the_last_entry_is_moved_last(tmp_path, monkeypatch):
    import os

    moved, rename = [], os.replace

    def record(source, target):
        moved.append(target.name)
        rename(source, target)

    monkeypatch.setattr("os.replace", record)
    with atomic_directory(tmp_path, last="b") as temporary:
        for name in "abc":
            (temporary / name).write_text(name)
    assert moved[-1] == "b"


def test_a_folder_with_entries_and_a_file_are_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    for path, message in ((tmp_path, "not empty"), (tmp_path / "mine", "not a folder")):
        with (
            pytest.raises(bt_keras.UsageError, match=message),
            atomic_directory(path),
        ):
            pass
    assert names(tmp_path) == ["mine"]


def test_a_folder_that_fills_up_meanwhile_is_left_alone(tmp_path):
    opened = atomic_directory(tmp_path, last="ours")
    (opened.__enter__() / "ours").write_text("ours")
    (tmp_path / "theirs").write_text("theirs")
    with pytest.raises(bt_keras.UsageError, match="not empty"):
        opened.__exit__(None, None, None)
    assert names(tmp_path) == ["theirs"]


def test_errors_of_a_library_are_reported_like_those_of_the_file_system(tmp_path):
    class LibraryError(Exception):
        pass

    def write():
        with atomic_file(tmp_path / "name", errors=(LibraryError,)):
            raise LibraryError("disk\nfull")

    with pytest.raises(bt_keras.UsageError, match="disk full"):
        write()


def test_sha256_of_paths_and_file_objects(tmp_path):
    content = bytes(range(256)) * 20_000  # More than one read.
    (tmp_path / "file").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert atomic.sha256(tmp_path / "file") == expected
    assert atomic.sha256(str(tmp_path / "file")) == expected
    assert atomic.sha256(io.BytesIO(content)) == expected
