"""The short run of the commands' tests, evaluated and exported."""

import shutil

import pytest

from bt_keras.cli import main

# pytest finds fixtures here.
from tests.cli.conftest import images, recipe, run  # noqa: F401


@pytest.fixture(scope="session")
def evaluated(run, tmp_path_factory):  # noqa: F811
    """A run with results and a module, which tests must not change."""
    workdir = shutil.copytree(run, tmp_path_factory.mktemp("evaluated") / "tiny")
    for command in (["evaluate", "--untrained"], ["evaluate"], ["export"]):
        assert main([*command, f"--workdir={workdir}"]) == 0
    return workdir


@pytest.fixture
def copied(evaluated, tmp_path):
    """A copy of that run."""
    return shutil.copytree(evaluated, tmp_path / "copied")
