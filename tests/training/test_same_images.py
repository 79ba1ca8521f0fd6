"""Runs resume on the images that they began with."""

import json
import shutil

import pytest

from bt_keras.cli import main
from bt_keras.data import load
from tests import tiny

NEW = "--config.data.source="


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with images and a run of two epochs with three steps each."""
    folder = tmp_path_factory.mktemp("finished")
    images = tiny.write_images(folder / "images", per_class=13)
    config = tiny.write_config(folder / "tiny.py", images)
    assert main(["pretrain", f"--config={config}", f"--workdir={folder / 'run'}"]) == 0
    return folder


@pytest.fixture
def stopped(finished, tmp_path):
    """`(images, run)`: moved images, and a run that stopped after its first epoch."""
    images = shutil.copytree(finished / "images", tmp_path / "moved")
    run = shutil.copytree(finished / "run", tmp_path / "run")
    (run / "checkpoints" / "epoch-0002.keras").unlink()
    return images, run


def pretrain(run, images, *arguments):
    return main(["pretrain", f"--workdir={run}", f"{NEW}{images}", *arguments])


def error_line(capfd, *arguments):
    capfd.readouterr()
    assert pretrain(*arguments) == 2
    *warnings, line = capfd.readouterr().err.splitlines()
    assert all("Left out" in warning for warning in warnings)
    return line


def test_moved_images_pass(stopped):
    images, run = stopped
    assert pretrain(run, images) == 0
    assert json.loads((run / "config.json").read_text())["data"]["source"] == str(
        images
    )
    assert (run / "checkpoints" / "epoch-0002.keras").exists()


def test_the_source_of_a_run_without_a_digest_may_not_change(stopped, capfd):
    images, run = stopped
    (run / "images.json").unlink()
    assert "data.source is" in error_line(capfd, run, images)


def rename(folder):
    (folder / "0.png").rename(folder / "00.png")


def grow(folder):
    tiny_png = folder / "0.png"
    shutil.copy(folder.parent / "light" / "3.png", tiny_png)
    with tiny_png.open("ab") as file:  # Decoders ignore what follows the image.
        file.write(b"\0")


def replace(folder):
    (folder / "0.png").unlink()
    shutil.copy(folder / "1.png", folder / "99.png")


def add(folder):
    shutil.copy(folder / "1.png", folder / "99.png")


@pytest.mark.parametrize("change", [rename, grow, replace, add])
def test_other_images_are_refused_unless_allowed(stopped, capfd, change):
    images, run = stopped
    before = load(str(images))
    change(images / "train" / "dark")
    now = load(str(images))
    line = error_line(capfd, run, images)
    for part in (
        f"26 images (names and sizes {before.digest})",
        f"{now.num_images} images (names and sizes {now.digest})",
        "--allow_other_images",
    ):
        assert part in line, line
    assert not (run / "checkpoints" / "epoch-0002.keras").exists()
    assert pretrain(run, images, "--allow_other_images") == 0
    assert (run / "checkpoints" / "epoch-0002.keras").exists()
    # These are the run's images now.
    assert pretrain(run, images) == 0


def test_images_left_out_are_none_of_the_runs(stopped, capfd):
    images, run = stopped
    (images / "train" / "dark" / "0.png").write_bytes(b"")
    config = json.loads((run / "config.json").read_text())
    config["data"]["skip_corrupt"] = True
    (run / "config.json").write_text(json.dumps(config))
    assert "25 images" in error_line(capfd, run, images)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"images": 26'])
def test_a_damaged_record_is_named(stopped, capfd, content):
    images, run = stopped
    (run / "images.json").write_text(content)
    line = error_line(capfd, run, images)
    assert str(run / "images.json") in line
    assert "--allow_other_images" in line
    assert pretrain(run, images, "--allow_other_images") == 0
    assert json.loads((run / "images.json").read_text())["images"] == 26


def test_a_run_without_a_record_passes_and_gets_one(finished, tmp_path):
    run = shutil.copytree(finished / "run", tmp_path / "run")
    (run / "images.json").unlink()
    assert pretrain(run, finished / "images") == 0
    assert json.loads((run / "images.json").read_text())["images"] == 26
