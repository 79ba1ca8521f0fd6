"""Checks of the files of a folder: new and changed files, several processes."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from bt_keras.data import decode, folder_index, index_file, load
from bt_keras.errors import UsageError
from tests.data import files
from tests.data.files import index_path

pytestmark = pytest.mark.usefixtures("cache")


def pixels(source):
    return [image.tobytes() for image, _ in files.arrays(source.dataset())]


def test_the_second_start_decodes_nothing_and_finds_the_same(images, checked):
    first = load(images)
    assert len(checked) == 5
    second = load(f"{images}/")
    assert len(checked) == 5
    assert second.image_shape == first.image_shape == (None, None, 3)
    assert second.smallest_side == first.smallest_side == 10
    assert pixels(second) == pixels(first)


def test_another_path_to_the_same_folder_shares_the_index(images, checked):
    load(images)
    link = images.parent / "link"
    link.symlink_to(images)
    assert load(link).num_images == 5
    assert len(checked) == 5


def test_a_changed_file_is_checked_again(images, checked):
    load(images)
    files.write(images / "002.png", "rgb.PNG", height=6, width=50)
    assert load(images).smallest_side == 6
    assert len(checked) == 6


def test_a_file_with_another_modification_time_is_checked_again(images, checked):
    load(images)
    os.utime(images / "002.png", ns=(1, 1))
    load(images)
    assert len(checked) == 6


def test_a_time_that_exceeds_64_bits_is_remembered(images, checked):
    os.utime(images / "002.png", (2**34, 2**34))
    assert load(images).num_images == load(images).num_images == 5
    assert len(checked) == 5


def test_a_new_file_is_checked_and_others_are_not(images, checked):
    load(images)
    files.write(images / "new.bmp", "rgb.bmp")
    assert load(images).num_images == 6
    assert len(checked) == 6


def test_a_removed_file_leaves_the_index(images, checked, cache):
    load(images)
    (images / "003.png").unlink()
    assert load(images).num_images == 4
    assert len(checked) == 5
    assert len(index_file.read(index_path(cache), str(images))) == 4


def test_corrupt_files_are_remembered(images, checked):
    (images / "empty.png").write_bytes(b"")
    (images / "text.png").write_text("text")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"'empty.png' in .* is empty, and 1 more"):
            load(images)
        source = load(images, skip_corrupt=True)
        assert (source.num_images, source.num_skipped) == (5, 2)
    assert len(checked) == 7


def test_a_file_that_cannot_be_opened_is_not_remembered(images, checked):
    (images / "link.png").symlink_to(images.parent / "nowhere.png")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"'link.png' in .* cannot be opened \(No"):
            load(images)
    files.write(images.parent / "nowhere.png", "rgb.PNG")
    assert load(images).num_images == 6
    assert len(checked) == 6


def test_a_file_that_does_not_fit_into_memory_is_not_remembered(images, monkeypatch):
    def exhausted(contents, channels):
        raise tf.errors.ResourceExhaustedError(None, None, "no memory")

    with monkeypatch.context() as patch:
        patch.setattr(decode, "decode_image", exhausted)
        with pytest.raises(UsageError, match="does not fit into memory"):
            load(images)
    assert load(images).num_images == 5


def test_file_names_that_are_not_utf8(tmp_path, checked):
    folder = os.fsencode(files.write_many(tmp_path / "images", 1))
    name = os.path.join(folder, b"\xff\n\xfe.png")
    os.rename(os.path.join(folder, b"000.png"), name)
    for _ in range(2):
        assert load(os.fsdecode(folder)).num_images == 1
    assert len(checked) == 1


def test_an_interrupted_check_resumes(images, monkeypatch):
    seen = []

    def interrupted(contents, channels):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(contents)
        return decode.check_image(contents, channels)

    monkeypatch.setattr(folder_index, "_CHUNK", 1)
    monkeypatch.setattr(folder_index.os, "cpu_count", lambda: 1)
    monkeypatch.setattr(folder_index, "check_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(images)
    seen.clear()
    assert load(images).num_images == 5
    assert len(seen) == 2


def test_the_index_is_saved_while_files_are_checked(images, monkeypatch):
    saved = []
    write = index_file.write
    monkeypatch.setattr(folder_index, "SAVE_INTERVAL", -1.0)
    monkeypatch.setattr(
        index_file,
        "write",
        lambda path, root, index: saved.append(len(index)) or write(path, root, index),
    )
    load(images)
    assert saved == [1, 2, 3, 4, 5, 5]


_CHECK = """
import sys
from bt_keras.data import decode, folder_index, index_file, load
checked = []
def check(contents, channels):
    checked.append(1)
    return decode.check_image(contents, channels)
folder_index.check_image = check
print("ready", flush=True)
sys.stdin.readline()
print(load(sys.argv[1]).num_images, len(checked))
"""


def test_two_processes_at_once_check_each_file_once(images):
    command = [sys.executable, "-c", _CHECK, str(images)]
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate()[0].split() for process in processes]
    assert [images for images, _ in outputs] == ["5", "5"]
    assert sorted(checked for _, checked in outputs) == ["0", "5"]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (lambda whole: whole[:-30], "is a truncated or corrupt PNG file"),
        (lambda whole: b"", "is empty"),
        (lambda whole: files.png(30, 30), r"has height and width \(30, 30\)"),
    ],
    ids=["truncated", "empty", "other size"],
)
def test_a_file_that_changes_later_is_named(tmp_path, contents, message):
    folder = files.write_many(tmp_path / "images", 3, size=(9, 7))
    source = load(folder)
    path = folder / "001.png"
    path.write_bytes(contents(path.read_bytes()))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"001.png' {message}"):
        files.arrays(source.dataset())


def test_a_file_that_changes_but_for_its_size_and_time_is_named(images):
    path = images / "001.png"
    load(images)
    times, contents = path.stat(), path.read_bytes()
    path.write_bytes(contents[:40] + bytes(len(contents) - 40))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    source = load(images)  # The index calls the file readable.
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"001\.png' is a truncated"
    ):
        files.arrays(source.dataset())


def test_a_file_that_is_gone_later_is_named(images):
    source = load(images)
    (images / "001.png").unlink()
    with pytest.raises(tf.errors.NotFoundError, match=r"001\.png"):
        files.arrays(source.dataset())


def test_a_file_replaced_by_another_readable_image_is_used(images):
    source = load(images)
    files.write(images / "001.png", "rgb.PNG", height=70, width=60)
    assert files.arrays(source.dataset())[1][0].shape == (70, 60, 3)
