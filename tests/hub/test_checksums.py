import os

import pytest

from bt_keras.hub import checksums


@pytest.fixture
def folder(tmp_path):
    for name in ("graph.pb", "weights/data"):
        path = tmp_path / "module" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    checksums.write(tmp_path / "module", checksums.compute(tmp_path / "module"))
    return tmp_path / "module"


def sums(folder):
    return folder / checksums.NAME


def test_an_unchanged_folder_has_no_differences(folder):
    assert checksums.differing(folder) == []
    sums(folder).unlink()
    assert checksums.differing(folder) is None


def test_the_forms_that_sha256sum_reads(folder):
    text = sums(folder).read_text()
    sums(folder).write_text(text.replace("  ", " *").replace("\n", "\r\n"))
    assert checksums.differing(folder) == []


def test_changed_missing_and_added_files_are_found(folder):
    (folder / "graph.pb").write_text("changed")
    (folder / "weights" / "data").unlink()
    (folder / "added").write_text("")
    assert checksums.differing(folder) == ["added", "graph.pb", "weights/data"]


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\n",
        b"no digest\n",
        b"0" * 64 + b"  graph.pb\n",  # The second line for this name.
        b"0" * 63 + b"  other\n",
        b"0" * 2**24,
    ],
    ids=["encoding", "words", "duplicate", "short", "long"],
)
def test_a_damaged_list_differs_itself(folder, line):
    with sums(folder).open("ab") as file:
        file.write(line)
    assert checksums.differing(folder) == [checksums.NAME]


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname"])
def test_names_outside_the_folder_are_never_read(folder, name):
    (folder.parent / "outside").write_text("")
    digest = checksums.sha256(folder.parent / "outside")
    with sums(folder).open("a") as file:
        file.write(f"{digest}  {name}\n")
    assert checksums.differing(folder) == [name]


def test_entries_that_are_not_files_differ(folder):
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to(folder / "weights", target_is_directory=True)
    assert checksums.differing(folder) == ["fifo", "link"]


@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling"])
def test_a_list_that_is_not_a_file_differs(folder, kind):
    sums(folder).unlink()
    if kind == "folder":
        sums(folder).mkdir()
    elif kind == "fifo":
        os.mkfifo(sums(folder))
    else:
        sums(folder).symlink_to("nowhere")
    assert checksums.differing(folder) == [checksums.NAME]
