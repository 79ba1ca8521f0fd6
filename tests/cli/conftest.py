"""One short run for all tests of the commands."""

import shutil

import pytest

from bt_keras.cli import main
from tests import tiny


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of images: train/ and test/ with two classes."""
    return tiny.write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def recipe(images):
    """The config file of a short run on `images`."""
    return tiny.write_config(images / "tiny.py", images)


@pytest.fixture(scope="session")
def run(recipe, tmp_path_factory):
    """The workdir of a finished run, which tests must not change."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["pretrain", "--config", str(recipe), f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture(scope="session")
def module(run, tmp_path_factory):
    """The exported module of the finished run, which tests must not change."""
    folder = tmp_path_factory.mktemp("modules") / "module"
    assert main(["export", f"--workdir={run}", f"--out={folder}"]) == 0
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """As `images`, of the size that the network of the run takes."""
    return tiny.write_images(tmp_path_factory.mktemp("photos"), size=8)


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(run, tmp_path / "copied")
