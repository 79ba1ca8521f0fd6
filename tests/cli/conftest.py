"""One short run for all tests of the commands."""

import hashlib
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
    """The workdir of a finished run, which tests must not change: see `copied`."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["pretrain", "--config", str(recipe), f"--workdir={workdir}"]) == 0
    before = _digests(workdir)
    yield workdir
    # A changed run makes other tests fail, in some orders only.
    assert _digests(workdir) == before


def _digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="session")
def module(run, tmp_path_factory):
    """The exported module of the finished run, which tests must not change."""
    folder = tmp_path_factory.mktemp("modules")
    # An export is noted in the workdir.
    workdir = shutil.copytree(run, folder / "tiny")
    out = folder / "module"
    assert main(["export", f"--workdir={workdir}", f"--out={out}"]) == 0
    return out


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """As `images`, of the size that the network of the run takes."""
    return tiny.write_images(tmp_path_factory.mktemp("photos"), size=8)


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(run, tmp_path / "copied")
