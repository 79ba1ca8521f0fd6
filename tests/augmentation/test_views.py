"""The two views: their random parameters, their pixels, their shards."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageFilter, ImageOps

from bt_keras.augmentation import finish_crops, ops, sampling
from bt_keras.augmentation.distortion import sample_distortion
from bt_keras.augmentation.recipes import RECIPES, ViewRecipe, resolve
from bt_keras.augmentation.views import view_seeds, views
from bt_keras.errors import UsageError
from tests.augmentation.with_pillow import color_jitter

# Every field of the first view differs; the second keeps those of the named recipe.
EVERYTHING = {
    "a": ViewRecipe(
        crop_scale=(0.3, 0.9),
        crop_ratio=(0.5, 2.0),
        flip=0.4,
        vertical_flip=0.5,
        rotate=0.75,
        jitter=0.9,
        brightness=0.8,
        contrast=0.7,
        saturation=0.6,
        hue=0.4,
        grayscale=0.3,
        blur=0.7,
        sigma=(0.5, 4.0),
        solarize=0.6,
        threshold=90,
    ),
    "b": {"rotate": 1.0},
}


def with_pillow(image, sampled, index, threshold):
    """Applies the official transform to the crop of a view, or to one band of it."""
    image = ImageOps.mirror(image) if sampled["flip"][index] else image
    if "vertical_flip" in sampled and sampled["vertical_flip"][index]:
        image = ImageOps.flip(image)
    if "turns" in sampled:
        image = image.rotate(90 * int(sampled["turns"][index]), expand=True)
    jitter = {name: value[index].numpy() for name, value in sampled["jitter"].items()}
    image = color_jitter(image, jitter)
    if sampled["grayscale"][index] and image.mode == "RGB":
        image = image.convert("L").convert("RGB")
    if "sigma" in sampled and sampled["sigma"][index] > 0:
        image = image.filter(ImageFilter.GaussianBlur(float(sampled["sigma"][index])))
    if "solarize" in sampled and sampled["solarize"][index]:
        image = ImageOps.solarize(image, threshold)
    return np.asarray(image, np.float32) / 255


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [("imagenet", {}), ("small", {}), ("small", EVERYTHING)],
    ids=["imagenet", "small", "everything"],
)
def test_views_equal_pillow(batch, recipe, changes):
    make = views(32, recipe, **changes)
    crops = make.crop(batch, (5, 6))
    got = make.distort(*crops, (5, 6))
    for view, whole, crop in zip(got, make(batch, (5, 6)), crops, strict=True):
        assert view.shape == crop.shape == (len(batch), 32, 32, 3)
        assert (view.dtype, crop.dtype) == (tf.float32, tf.uint8)
        np.testing.assert_array_equal(view, whole)
    check_finished_on_device(batch, got, recipe=recipe, **changes)
    seeds = view_seeds((5, 6))
    for view, used in enumerate(resolve(recipe, **changes)):
        sampled = sample_distortion(seeds[view][1], len(batch), used)
        expected = np.stack(
            [
                with_pillow(Image.fromarray(crop), sampled, index, used.threshold)
                for index, crop in enumerate(crops[view].numpy())
            ]
        )
        expected = (expected - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        np.testing.assert_allclose(got[view], expected, atol=2e-6)


def check_finished_on_device(images, expected, **arguments):
    """Checks that views finished at once have the bits of those that a loop makes."""
    make = views(32, **arguments, finish_on_device=True)
    for view, same in zip(finish_crops(make(images, (5, 6))), expected, strict=True):
        assert view.shape == same.shape
        np.testing.assert_array_equal(view, same)


@pytest.mark.parametrize(
    "channels",
    [pytest.param(1, marks=pytest.mark.slow), 5],  # Compiles the views once more.
)
def test_views_of_bands_equal_pillow_on_each_band(batch, channels):
    images = np.concatenate([batch, np.roll(batch, 3, axis=2)], axis=-1)[:6]
    images = images[..., :channels]
    mean, deviation = np.linspace(0.1, 0.9, channels), np.linspace(0.2, 1, channels)
    make = views(32, "imagenet", (mean, deviation))
    crops, got = make.crop(images, (5, 6)), make(images, (5, 6))
    check_finished_on_device(images, got, statistics=(mean, deviation))
    for view, (_, seed) in enumerate(view_seeds((5, 6))):
        sampled = sample_distortion(seed, len(images), RECIPES["imagenet"][view])
        for band in range(channels):
            expected = [
                with_pillow(Image.fromarray(crop[..., band]), sampled, index, 128)
                for index, crop in enumerate(crops[view].numpy())
            ]
            expected = (np.stack(expected) - mean[band]) / deviation[band]
            np.testing.assert_allclose(got[view][..., band], expected, atol=2e-6)


def test_the_seed_determines_the_pixels(batch):
    make = views(32, "small")
    first = make(batch, seed=(7, 8))
    for seed in ((7, 8), tf.constant([7, 8]), tf.constant([7, 8], tf.int64)):
        for view, same in zip(make(batch, seed), first, strict=True):
            np.testing.assert_array_equal(view, same)
    everything = [*first]
    for seed in ((7, 9), (8, 8), (8, 7)):
        everything += make(batch, seed)
    for index, view in enumerate(everything):
        for other in everything[:index]:
            assert np.mean(view.numpy() == other.numpy()) < 0.25


@pytest.mark.slow  # Compiles the views once more.
def test_views_inside_a_dataset_with_many_threads(batch):
    make = views(32, "imagenet")
    steps = tf.data.Dataset.range(6)
    steps = steps.map(lambda i: make(batch, (3, i)), num_parallel_calls=8)
    for step, pair in enumerate(steps):
        for view, same in zip(pair, make(batch, (3, step)), strict=True):
            np.testing.assert_array_equal(view, same)


def test_a_recipe_determines_the_crops(batch):
    make = views(32, "small", **EVERYTHING)
    for crop, recipe, (seed, _) in zip(
        make.crop(batch, (5, 6)),
        resolve("small", **EVERYTHING),
        view_seeds((5, 6)),
        strict=True,
    ):
        limits = recipe.crop_scale, recipe.crop_ratio
        boxes = sampling.crop_boxes(seed, len(batch), *batch.shape[1:3], *limits)
        np.testing.assert_array_equal(crop, ops.crop_and_resize(batch, boxes, 32))


def test_crops_of_images_of_any_size(batch):
    make = views(32, "small")
    dataset = tf.data.Dataset.from_generator(
        lambda: batch, output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    )
    dataset = dataset.enumerate().map(lambda i, x: make.crop(x[None], (0, i)))
    for index, crops in enumerate(dataset):
        expected = make.crop(batch[index : index + 1], (0, index))
        for crop, same in zip(crops, expected, strict=True):
            np.testing.assert_array_equal(crop, same)
    assert dataset.element_spec[0].shape == (1, 32, 32, 3)


@pytest.mark.parametrize(
    ("recipe", "shards"),
    [("imagenet", 2), pytest.param("small", 4, marks=pytest.mark.slow)],
)
def test_views_of_all_shards_are_the_views_of_the_batch(batch, recipe, shards):
    images, make = batch[:4], views(32, recipe)
    split = np.split(images, shards)

    def together(function):
        made = [function(rows, (index, shards)) for index, rows in enumerate(split)]
        return [np.concatenate(views) for views in zip(*made, strict=True)]

    whole = make(images, (5, 6))
    found = together(lambda rows, shard: make(rows, (5, 6), shard=shard))
    for view, same in zip(found, whole, strict=True):
        np.testing.assert_array_equal(view, same)
    crops = together(lambda rows, shard: make.crop(rows, (5, 6), shard=shard))
    for crop, same in zip(crops, make.crop(images, (5, 6)), strict=True):
        np.testing.assert_array_equal(crop, same)


@pytest.mark.slow  # Compiles the views once more.
def test_the_shard_index_may_be_a_tensor(batch):
    make = views(32, "small")
    halves = tf.data.Dataset.from_tensor_slices(np.stack(np.split(batch[:4], 2)))
    halves = halves.enumerate().map(lambda i, half: make(half, (5, 6), shard=(i, 2)))
    found = zip(*halves.as_numpy_iterator(), strict=True)
    for view, same in zip(found, make(batch[:4], (5, 6)), strict=True):
        np.testing.assert_array_equal(np.concatenate(view), same)


@pytest.mark.parametrize("size", [0, -1, 32.0, "32", None, True])
def test_a_size_that_is_not_a_positive_int_is_refused(size):
    with pytest.raises(UsageError, match="size="):
        views(size)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((8, 8, 3), np.uint8), ((2, 8, 8, 1), np.uint8), ((2, 8, 8, 3), np.float32)],
)
def test_images_of_another_shape_or_dtype_are_refused(shape, dtype):
    name = np.dtype(dtype).name
    message = rf"{name} of shape \({shape[0]}, .*batch axis"
    with pytest.raises(UsageError, match=message):
        views(32)(np.zeros(shape, dtype), seed=(0, 0))
    with pytest.raises(UsageError, match=r"\(N, H, W, 2\).*decode to 2 bands"):
        views(32, "small", [[0.5] * 2] * 2)(np.zeros(shape, dtype), seed=(0, 0))
