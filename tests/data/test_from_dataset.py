"""Sources made from a `tf.data.Dataset`."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from bt_keras.data import Source, from_dataset, load
from bt_keras.errors import UsageError
from tests.data import files

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 6, 5, 3), np.uint8)


@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("names", [None, ["a", "b"]])
def test_users_dataset(batch, names):
    labels = np.arange(10, dtype=np.int32) % 2
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, labels))
    source = from_dataset(dataset.batch(batch) if batch else dataset, names)
    assert isinstance(source, Source)
    assert source.num_images == 10
    assert source.image_shape == (6, 5, 3)
    assert source.num_classes == (2 if names else None)
    found = files.arrays(source.dataset())
    np.testing.assert_array_equal([image for image, _ in found], IMAGES)
    expected = labels if names else np.full(10, -1)
    np.testing.assert_array_equal([label for _, label in found], expected)


def test_users_dataset_of_images_alone():
    source = load(tf.data.Dataset.from_tensor_slices(IMAGES))
    shuffled, again = (
        [record["image"] for record in files.arrays(source.records((3, 4)))]
        for _ in range(2)
    )
    np.testing.assert_array_equal(shuffled, again)
    assert not np.array_equal(shuffled, IMAGES)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (IMAGES.astype(np.int32), "not images"),
        (IMAGES[..., 0], "not images"),
        (np.tile(IMAGES, 6)[..., :17], "not images"),
        ({"image": IMAGES}, "not images"),
        (IMAGES[:0], "empty"),
    ],
)
def test_datasets_of_other_elements_are_refused(elements, message):
    with pytest.raises(UsageError, match=message):
        from_dataset(tf.data.Dataset.from_tensor_slices(elements))


@pytest.mark.parametrize("channels", [1, 5, 16])
def test_images_of_any_number_of_bands(channels):
    images = np.tile(IMAGES, 6)[..., :channels]
    source = from_dataset(tf.data.Dataset.from_tensor_slices(images))
    assert source.image_shape == (6, 5, channels)
    np.testing.assert_array_equal(source.images, images)


def test_gray_images_are_repeated_only_if_told_to():
    gray = tf.data.Dataset.from_tensor_slices(IMAGES[..., :1])
    repeated = from_dataset(gray, channels=3)
    expected = np.repeat(IMAGES[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(repeated.images, expected)
    with pytest.raises(
        UsageError, match=r"are \(H, W, 1\), not \(H, W, 4\): .*channels=1"
    ):
        from_dataset(gray, channels=4)


@pytest.mark.parametrize("dtype", [tf.float16, tf.float32, tf.float64])
def test_float_levels_are_rounded(dtype):
    images = np.random.default_rng(0).uniform(0, 255, IMAGES.shape)
    images[0, 0, 0] = 0, 254.6, 255
    images = tf.cast(images, dtype)
    source = from_dataset(tf.data.Dataset.from_tensor_slices(images).batch(4))
    np.testing.assert_array_equal(source.images, np.round(images).astype(np.uint8))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES / 255, r"are in \[0, 1\], .* multiply by 255"),
        (IMAGES / 127.5 - 1, r"range from -1 to 1, .* do not normalize"),
        (IMAGES * 2.0, r"range from 0 to 510"),
        (np.where(IMAGES.max() == IMAGES, np.nan, IMAGES), "but levels must be in"),
    ],
)
def test_floats_of_another_range_are_refused(images, message):
    with pytest.raises(UsageError, match=message):
        from_dataset(tf.data.Dataset.from_tensor_slices(images))


def test_a_float_image_that_was_not_looked_at_is_checked_when_it_is_read():
    images = np.zeros((100, 2, 2, 1))
    images[::2], images[90] = 100, 256
    source = from_dataset(tf.data.Dataset.from_tensor_slices(images))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"not in 0\.\.255"):
        list(source.dataset())


def test_images_of_sixteen_bits_are_scaled(caplog):
    levels = np.random.default_rng(0).integers(0, 2**12, IMAGES.shape).astype("uint16")
    dataset = tf.data.Dataset.from_tensor_slices(levels)
    source = from_dataset(dataset, bits=12)
    np.testing.assert_array_equal(source.images, levels >> 4)
    assert not caplog.text
    from_dataset(dataset)
    assert "give config.data.bits=12" in caplog.text
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than the 9 bits"):
        list(from_dataset(dataset, bits=9).dataset())


@pytest.mark.parametrize("count", [2, 10])
def test_datasets_that_shuffle_in_each_iteration_are_refused(count):
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES[:count])
    from_dataset(dataset.shuffle(10, seed=1, reshuffle_each_iteration=False))
    with pytest.raises(UsageError, match="other images in each iteration"):
        from_dataset(dataset.shuffle(10, seed=1))
    noise = tf.random.Generator.from_seed(2)
    noisy = dataset.map(lambda x: x + tf.cast(noise.uniform((), maxval=99.0), tf.uint8))
    with pytest.raises(UsageError, match="other images in each iteration"):
        from_dataset(noisy)


def test_keras_image_dataset_from_directory(tmp_path):
    for name in ("a", "b"):
        files.write_many(tmp_path / name, 5, size=(20, 24))
    read = functools.partial(
        keras.utils.image_dataset_from_directory,
        tmp_path,
        image_size=(16, 16),
        batch_size=4,
        verbose=False,
    )
    dataset = read(shuffle=False)
    source = from_dataset(dataset, dataset.class_names)
    expected = np.concatenate([images for images, _ in dataset])
    np.testing.assert_array_equal(source.images, np.round(expected))
    assert [int(label) for _, label in source.dataset()] == [0] * 5 + [1] * 5
    with pytest.raises(UsageError, match=r"shuffle=False in keras\.utils"):
        from_dataset(read())
    gray = from_dataset(read(shuffle=False, color_mode="grayscale"))
    assert gray.image_shape == (16, 16, 1)


def test_endless_datasets_are_refused():
    with pytest.raises(UsageError, match="never ends"):
        from_dataset(tf.data.Dataset.from_tensor_slices(IMAGES).repeat())
