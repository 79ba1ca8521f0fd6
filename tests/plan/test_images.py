import pytest

from bt_keras import config as config_lib
from bt_keras.errors import UsageError
from bt_keras.plan import images


@pytest.fixture
def nothing_prepared(monkeypatch):
    """As on a machine without data sets of TFDS."""
    monkeypatch.setattr(images, "_is_prepared", lambda dataset: False)


def test_images_at_hand_are_opened(config):
    found = images.find(config)
    assert (found.count, found.source.smallest_side) == (18, 10)
    assert found.views.size == config.views.size
    assert found.described.startswith("18 images of 2 classes")


def test_given_numbers_open_nothing(config):
    config.data.source = "/nowhere"
    found = images.find(config, count=1000)
    assert (found.count, found.source) == (1000, None)
    assert "as given" in found.described


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("default", 1_281_167),
        ("cifar10", 50_000),
        ("cifar100", 50_000),
        ("stl10", 100_000),
    ],
)
def test_numbers_of_known_data_sets_are_assumed(nothing_prepared, name, count):
    found = images.find(config_lib.load(name))
    assert (found.count, found.source) == (count, None)
    assert "assumed" in found.described


def test_data_sets_that_are_not_prepared_are_not_known_otherwise(nothing_prepared):
    config = config_lib.load("cifar10")
    config.data.train_split = "train[:10%]"
    with pytest.raises(UsageError, match=r"'train\[:10%\]'.*--images=N"):
        images.find(config)


def test_a_name_that_tfds_does_not_have_is_reported_by_the_loader(config):
    config.data.source = "tfds:imagnet2012"
    with pytest.raises(UsageError, match="did you mean"):
        images.find(config)


@pytest.mark.parametrize(
    ("fields", "count", "replicas", "message"),
    [
        ({}, 7, 1, "there are 7 images"),
        ({}, 100, 3, "not divisible by 3 replicas"),
        ({"microbatches": 8}, 100, 2, "config.microbatches is 8"),
        ({"steps_per_execution": 5}, 100, 1, "config.steps_per_execution is 5"),
    ],
)
def test_what_pretrain_refuses_is_refused(config, fields, count, replicas, message):
    config.update(fields)
    with pytest.raises(UsageError, match=message):
        images.find(config, count, replicas)
