"""What the commands say about the folders of images that they read."""

import os
import shutil

import pytest

from bt_keras.cli import main
from tests.cli.commands import one_error_line


@pytest.fixture
def folder(images, tmp_path):
    return shutil.copytree(images, tmp_path / "images")


@pytest.fixture
def pretrain(recipe, folder, tmp_path):
    """A command that trains for one epoch on `folder`."""
    flags = ["--config.epochs=1", "--config.optimizer.warmup_epochs=0.0"]
    flags += [f"--config.data.source={folder}", f"--workdir={tmp_path / 'run'}"]
    return ["pretrain", f"--config={recipe}", *flags]


def test_splits_of_other_names_are_read_and_printed(folder, pretrain, tmp_path, capsys):
    (folder / "train").rename(folder / "Training")
    (folder / "test").rename(folder / "valid")
    (folder / "Training" / "dark" / "x.heic").touch()
    assert main(pretrain) == 0
    read = capsys.readouterr()
    assert f"split 'train' of '{folder}' (splits: Training, valid)" in read.out
    assert "; left out: 1 .heic\n" in read.out
    assert len(read.err.strip().splitlines()) == 1
    assert "1 .heic (such as 'dark/x.heic')" in read.err
    (folder / "Training" / "dark" / "x.heic").unlink()
    assert main(["evaluate", f"--workdir={tmp_path / 'run'}"]) == 0
    read = capsys.readouterr()
    assert f"read from '{folder}/Training'" in read.out
    assert f"read from '{folder}/valid'" in read.out
    assert not read.err


def test_folders_that_can_be_read_in_two_ways(folder, pretrain, run, capsys):
    (folder / "test").rename(folder / "train_extra")
    parts = ("'train' holds folders", "data.layout=classes", "--layout")
    one_error_line(capsys, pretrain, *parts)
    evaluate = ["evaluate", f"--workdir={run}", f"--source={folder}"]
    one_error_line(capsys, evaluate, *parts)
    one_error_line(capsys, [*evaluate, "--layout=splits"], "no split 'test'")
    assert main([*pretrain, "--config.data.layout=splits"]) == 0
    assert "(splits: train, train_extra)" in capsys.readouterr().out


def test_a_fifo_among_the_images_is_left_out(folder, pretrain, capsys):
    os.mkfifo(folder / "train" / "dark" / "fifo.png")
    assert main(pretrain) == 0
    read = capsys.readouterr()
    assert "left out: 1 FIFO" in read.out
    assert read.err.count("\n") == 1
    assert "'dark/fifo.png'" in read.err


def test_a_file_name_that_is_not_utf8_is_named(folder, pretrain, capsys):
    inside = folder / "train" / "dark"
    os.rename(inside / "0.png", os.fsencode(inside) + b"/\xe4.png")
    assert main(pretrain) == 0
    read = capsys.readouterr()
    assert read.err.count("\n") == 1
    assert r"'dark/\udce4.png'" in read.err


def test_a_folder_name_that_is_not_utf8_is_refused(folder, pretrain, capsys):
    inside = os.fsencode(folder / "train")
    os.rename(inside + b"/dark", inside + b"/\xe4")
    one_error_line(capsys, pretrain, r"train/\udce4' has a name that is not UTF-8")
    moved = os.fsdecode(os.fsencode(folder) + b"\xe4")
    folder.rename(moved)
    flags = [flag.replace(str(folder), moved) for flag in pretrain]
    one_error_line(capsys, flags, r"images\udce4' has a name that is not")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.data.bits=17", "config.data.bits is 17"),
        ("--config.data.layout=tree", "config.data.layout is 'tree', not one of auto"),
    ],
)
def test_other_values_are_refused(pretrain, tmp_path, capsys, flag, message):
    one_error_line(capsys, [*pretrain, flag], message)
    assert not (tmp_path / "run").exists()
