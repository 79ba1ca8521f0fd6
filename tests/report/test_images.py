"""Which images a page shows."""

import pytest

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from bt_keras.report import images
from tests import tiny


@pytest.fixture
def config(tmp_path):
    """A config of 18 training images and 18 test images."""
    config = config_lib.default()
    config.data.source = str(tiny.write_images(tmp_path))
    config.data.test_split = "test"
    return config


def test_test_images_are_found_in_the_training_images(config):
    bank, queries, held_out = images.sources(config)
    assert (bank.split, queries.split, held_out) == ("train", "test", True)
    assert (bank.num_images, queries.num_images) == (18, 18)


def test_data_of_one_split_are_divided(config):
    config.data.source += "/train"
    bank, queries, held_out = images.sources(config)
    assert not held_out
    assert (bank.num_images, queries.num_images) == (15, 3)
    assert not {*map(str, bank.dataset())} & {*map(str, queries.dataset())}


def test_the_wrong_name_of_a_split_is_not_hidden(config):
    config.data.test_split = "tset"
    with pytest.raises(UsageError, match="tset"):
        images.sources(config)


def test_splits_are_chosen(config):
    config.data.test_split = "tset"
    bank, queries, held_out = images.sources(config, "test", "train")
    assert (bank.split, queries.split, held_out) == ("test", "train", True)


def test_a_chosen_split_that_data_of_one_split_lack_is_named(config):
    config.data.source += "/train"
    with pytest.raises(UsageError, match="no split 'test'"):
        images.sources(config, test_split="test")


def test_damaged_test_images_are_not_hidden(config, tmp_path):
    (tmp_path / "test" / "dark" / "0.png").write_bytes(b"damaged")
    with pytest.raises(UsageError, match=r"0\.png"):
        images.sources(config)
