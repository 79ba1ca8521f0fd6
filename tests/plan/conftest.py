"""The config of a short run and its images, which tests must not change."""

import pytest

from bt_keras import config as config_lib
from tests import tiny


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    """A folder of 18 images for training, of 10 x 10 pixels."""
    return tiny.write_images(tmp_path_factory.mktemp("planned"))


@pytest.fixture
def config(folder):
    """The config of a run on `folder`, which a test may change."""
    return config_lib.load(tiny.write_config(folder / "tiny.py", folder))
