"""Images that cannot be read any more while a run trains."""

import contextlib
import os

import numpy as np
import pytest
import tensorflow as tf

import bt_keras
from bt_keras import config as config_lib
from bt_keras.checkpoint import store
from bt_keras.cli import main
from bt_keras.data.shuffle import epoch_order
from bt_keras.training import pretrain as pretrain_lib
from bt_keras.training import setup
from tests import tiny

_STEPS = 4


@pytest.fixture
def images(tmp_path):
    """Images of two sizes, which are therefore read when they are needed."""
    folder = tiny.write_images(tmp_path / "images", per_class=16)
    wide = tf.io.encode_png(np.full((10, 12, 3), 99, np.uint8))
    tf.io.write_file(str(folder / "train" / "dark" / "0.png"), wide)
    return folder


@pytest.fixture
def config(images):
    return config_lib.load(tiny.write_config(images / "tiny.py", images))


@pytest.fixture
def image_at(images, config):
    """`image_at(step)`: a file of this step, counted from 0."""
    files = sorted((images / "train").rglob("*.png"))

    def find(step):
        epoch, step = divmod(step, _STEPS)
        seed = tf.constant([config.seed, epoch], tf.int64)
        order = epoch_order(len(files), seed).numpy()
        return files[order[step * config.batch_size + 3]]

    return find


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:60])


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


FAULTS = {
    remove: "cannot be opened (No such file or directory)",
    truncate: "is a truncated or corrupt PNG file",
    replace_by_folder: "cannot be opened (Is a directory)",
}


@contextlib.contextmanager
def after(owner, name, action):
    """Calls `action` after each call of a function."""
    function = getattr(owner, name)

    def replaced(*args, **kwargs):
        returned = function(*args, **kwargs)
        action()
        return returned

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, replaced)
        yield


def error_line(capfd, arguments):
    """Returns the only line on stderr of a command that must fail."""
    capfd.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("damage", FAULTS)
def test_a_file_is_named_after_a_checkpoint(
    damage, config, images, image_at, tmp_path, capfd
):
    path, workdir = image_at(2), tmp_path / "run"
    contents = path.read_bytes()
    arguments = [f"--config={images / 'tiny.py'}", f"--workdir={workdir}"]
    with after(setup, "new_model", lambda: damage(path)):
        line = error_line(capfd, ["pretrain", *arguments])
    assert f"{str(path)!r} {FAULTS[damage]}" in line
    checkpoint = workdir / "checkpoints" / "epoch-0000-step-000002.keras"
    assert f"The checkpoint {checkpoint} is written" in line
    assert os.listdir(workdir / "checkpoints") == [checkpoint.name]

    if damage is remove:
        path.write_bytes(contents)
        resumed = pretrain_lib.pretrain(config, workdir)
        whole = pretrain_lib.pretrain(config, tmp_path / "whole")
        for ours, theirs in zip(resumed.variables, whole.variables, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_at_the_first_step_nothing_is_written(config, image_at, tmp_path):
    path = image_at(0)
    with (
        after(setup, "new_model", lambda: remove(path)),
        pytest.raises(bt_keras.UsageError, match=path.name) as error,
    ):
        pretrain_lib.pretrain(config, tmp_path / "run")
    assert "checkpoint" not in str(error.value)
    assert store.find_newest(tmp_path / "run" / "checkpoints") == (None, None)


def test_an_execution_of_several_steps_is_not_saved(config, image_at, tmp_path):
    """Its first steps may have changed the weights."""
    config.steps_per_execution = 2
    path = image_at(3)
    with (
        after(setup, "new_model", lambda: remove(path)),
        pytest.raises(bt_keras.UsageError, match=path.name),
    ):
        pretrain_lib.pretrain(config, tmp_path / "run")
    assert store.find_newest(tmp_path / "run" / "checkpoints") == (None, None)


def test_before_training_no_folder_is_left(images, image_at, tmp_path, capfd):
    path, workdir = image_at(0), tmp_path / "run"
    arguments = [f"--config={images / 'tiny.py'}", f"--workdir={workdir}"]
    with after(setup, "load_data", lambda: remove(path)):
        line = error_line(capfd, ["pretrain", *arguments])
    assert path.name in line
    assert not workdir.exists()


def test_images_in_memory_are_named_too(tmp_path):
    folder = tiny.write_images(tmp_path / "images", per_class=4)
    config = config_lib.load(tiny.write_config(tmp_path / "tiny.py", folder))
    path = folder / "train" / "light" / "2.png"
    with (
        after(setup, "load_data", lambda: truncate(path)),
        pytest.raises(bt_keras.UsageError, match=r"2\.png' is a truncated"),
    ):
        pretrain_lib.pretrain(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
