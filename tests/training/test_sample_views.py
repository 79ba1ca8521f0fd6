"""The picture of a run's first pairs."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.augmentation import Statistics
from bt_keras.augmentation import views as make_views
from bt_keras.augmentation.statistics import IMAGENET
from bt_keras.data import load, pairs
from bt_keras.data import source as source_module
from bt_keras.errors import UsageError
from bt_keras.training.sample_views import FirstPairs
from tests import tiny

MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)


@pytest.fixture
def images(tmp_path):
    return tiny.write_images(tmp_path / "images")


def levels(view):
    """The 8-bit levels of a normalized view (N, H, W, 3), computed by NumPy."""
    unit = np.asarray(view, np.float64) * DEVIATION + MEAN
    return np.clip(np.floor(unit * 256), 0, 255)


def first_pairs(source, batch_size, seed=0, statistics=IMAGENET):
    views = make_views(8, "small", statistics)
    make = functools.partial(pairs, source, views, batch_size, seed, endless=True)
    return FirstPairs(make, source.find_fault, statistics)


def test_the_picture_shows_the_first_batch_of_the_run(images):
    source, statistics = load(images), Statistics(MEAN, DEVIATION)
    picture = first_pairs(source, 9, 3, statistics).picture()
    picture = tf.io.decode_png(picture).numpy().astype(float)
    views = make_views(8, "small", statistics)
    batch = next(iter(pairs(source, views, 9, seed=3)))
    rows = [np.concatenate(list(levels(view[:8])), axis=1) for view in batch]
    np.testing.assert_allclose(picture, np.concatenate(rows), atol=1)
    assert 20 < picture.mean() < 235


def test_a_started_picture_is_the_same_each_time(images):
    source = load(images)
    started = first_pairs(source, 4)
    started.start()
    assert started.picture() is started.picture()
    assert started.picture() == first_pairs(source, 4).picture()


def test_the_picture_names_an_image_that_cannot_be_read(images, monkeypatch):
    monkeypatch.setattr(source_module, "IN_MEMORY_BYTES", 0)
    source = load(images)
    damaged = images / "train" / "dark" / "4.png"
    damaged.write_bytes(damaged.read_bytes()[:60])
    started = first_pairs(source, 18)  # All images.
    started.start()
    for _ in range(2):
        with pytest.raises(UsageError, match=r"4\.png"):
            started.picture()
