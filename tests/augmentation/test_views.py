"""Random parameters, and the two views that are made with them."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from bt_keras.augmentation import RECIPES, sampling, views
from bt_keras.errors import UsageError

DRAWS = 4000


def torchvision_box(rng, height, width, scale, ratio):
    """RandomResizedCrop.get_params, with NumPy's generator."""
    area = height * width
    for _ in range(10):
        target = area * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w = round(math.sqrt(target * aspect))
        h = round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return rng.integers(height - h + 1), rng.integers(width - w + 1), h, w
    w, h = width, height
    if width / height < min(ratio):
        h = round(w / min(ratio))
    elif width / height > max(ratio):
        w = round(h * max(ratio))
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [
        (32, 32, (0.08, 1.0)),
        (75, 100, (0.08, 1.0)),
        (20, 60, (0.5, 1.0)),  # often falls back to the central box
        (60, 20, (0.9, 1.0)),  # always does
    ],
)
def test_crop_boxes_are_distributed_as_torchvision_s(height, width, scale):
    ratio = (3 / 4, 4 / 3)
    boxes = sampling.crop_boxes((3, 4), DRAWS, height, width, scale, ratio).numpy()
    top, left, h, w = boxes.T
    assert boxes.dtype == np.int32
    assert min(top.min(), left.min()) >= 0
    assert min(h.min(), w.min()) > 0
    assert (top + h).max() <= height
    assert (left + w).max() <= width
    rng = np.random.default_rng(0)
    reference = np.array(
        [torchvision_box(rng, height, width, scale, ratio) for _ in range(DRAWS)]
    )

    def statistics(boxes):
        top, left, h, w = boxes.T.astype(float)
        return {
            "area": h * w,
            "squared area": (h * w) ** 2,
            "log ratio": np.log(w / h),
            "squared log ratio": np.log(w / h) ** 2,
            "top": top,
            "left": left,
            "top over room": top / np.maximum(height - h, 1),
        }

    expected = statistics(reference)
    for name, got in statistics(boxes).items():
        error = math.sqrt((got.var() + expected[name].var()) / DRAWS)
        assert abs(got.mean() - expected[name].mean()) <= 4 * error + 1e-9, name


def assert_probability(got, probability):
    error = math.sqrt(probability * (1 - probability) / DRAWS)
    assert abs(np.mean(got) - probability) <= 4 * error


@pytest.mark.parametrize("recipe", ["imagenet", "small"])
@pytest.mark.parametrize("view", [0, 1])
def test_probabilities_and_ranges(recipe, view):
    recipe_of_view = RECIPES[recipe][view]
    drawn = views.draw_distortion((1, 2), DRAWS, recipe_of_view)
    assert_probability(drawn["flip"], 0.5)
    assert_probability(drawn["grayscale"], 0.2)
    jitter = drawn["jitter"]
    assert_probability(jitter["apply"], 0.8)
    ranges = {
        "brightness": (0.6, 1.4),
        "contrast": (0.6, 1.4),
        "saturation": (0.8, 1.2),
        "hue": (-0.1, 0.1),
    }
    for name, (low, high) in ranges.items():
        values = jitter[name].numpy()
        assert low <= values.min() < values.max() <= high
        error = (high - low) / math.sqrt(12 * DRAWS)
        assert abs(values.mean() - (low + high) / 2) <= 4 * error
    orders, counts = np.unique(jitter["order"], axis=0, return_counts=True)
    assert len(orders) == 24
    assert np.all(np.abs(counts - DRAWS / 24) <= 4.5 * math.sqrt(DRAWS / 24))

    blur = {"imagenet": (1.0, 0.1), "small": (0, 0)}[recipe][view]
    assert ("sigma" in drawn) == bool(blur)
    if blur:
        sigma = drawn["sigma"].numpy()
        assert_probability(sigma > 0, blur)
        assert 0.1 <= sigma[sigma > 0].min() < sigma.max() <= 2.0
    assert ("solarize" in drawn) == (view == 1)
    if view == 1:
        assert_probability(drawn["solarize"], 0.2)


def test_parameters_are_uncorrelated():
    """Neither operations of a step nor neighbouring seeds and steps share numbers."""
    columns = []
    for seed in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for (crop_seed, distort_seed), recipe in zip(
            views.view_seeds(seed), RECIPES["imagenet"], strict=True
        ):
            boxes = sampling.crop_boxes(crop_seed, DRAWS, 200, 200)
            columns += list(boxes.numpy().T.astype(float))
            drawn = views.draw_distortion(distort_seed, DRAWS, recipe)
            columns += [drawn["flip"], drawn["grayscale"], drawn["sigma"]]
            jitter = drawn["jitter"]
            columns += [jitter[n] for n in ("brightness", "contrast", "hue", "apply")]
    columns = np.array([np.asarray(column, float) for column in columns])
    correlation = np.corrcoef(columns)
    # Within one draw of boxes, height and width and their free room do depend.
    for box in range(0, len(columns), 11):
        correlation[box : box + 4, box : box + 4] = 0
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 5 / math.sqrt(DRAWS)


def with_pillow(image, drawn, index):
    """A view after its crop, as the official transform makes it."""
    image = ImageOps.mirror(image) if drawn["flip"][index] else image
    jitter = {name: value[index].numpy() for name, value in drawn["jitter"].items()}
    for operation in jitter["order"] if jitter["apply"] else ():
        if operation == 3:
            hue, saturation, value = image.convert("HSV").split()
            levels = np.array(hue)
            levels += np.int32(float(jitter["hue"]) * 255).astype(np.uint8)
            channels = (Image.fromarray(levels), saturation, value)
            image = Image.merge("HSV", channels).convert("RGB")
            continue
        name = ("brightness", "contrast", "saturation")[operation]
        enhancer = (
            ImageEnhance.Brightness,
            ImageEnhance.Contrast,
            ImageEnhance.Color,
        )[operation]
        image = enhancer(image).enhance(float(jitter[name]))
    if drawn["grayscale"][index]:
        image = image.convert("L").convert("RGB")
    if "sigma" in drawn and drawn["sigma"][index] > 0:
        image = image.filter(ImageFilter.GaussianBlur(float(drawn["sigma"][index])))
    if "solarize" in drawn and drawn["solarize"][index]:
        image = ImageOps.solarize(image)
    levels = np.asarray(image, np.float32) / 255
    return (levels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


@pytest.mark.parametrize("recipe", ["imagenet", "small"])
def test_views_equal_pillow_s(batch, recipe):
    make = views(32, recipe)
    crops = make.crop(batch, (5, 6))
    got = make.distort(*crops, (5, 6))
    for view, whole, crop in zip(got, make(batch, (5, 6)), crops, strict=True):
        assert view.shape == crop.shape == (len(batch), 32, 32, 3)
        assert (view.dtype, crop.dtype) == (tf.float32, tf.uint8)
        np.testing.assert_array_equal(view, whole)
    seeds = views.view_seeds((5, 6))
    for view in range(2):
        drawn = views.draw_distortion(seeds[view][1], len(batch), RECIPES[recipe][view])
        expected = np.stack(
            [
                with_pillow(Image.fromarray(crop), drawn, index)
                for index, crop in enumerate(crops[view].numpy())
            ]
        )
        np.testing.assert_allclose(got[view], expected, atol=2e-6)


def test_the_seed_decides_the_pixels(batch):
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


def test_views_inside_a_dataset_with_many_threads(batch):
    make = views(32, "imagenet")
    steps = tf.data.Dataset.range(6)
    steps = steps.map(lambda i: make(batch, (3, i)), num_parallel_calls=8)
    for step, pair in enumerate(steps):
        for view, same in zip(pair, make(batch, (3, step)), strict=True):
            np.testing.assert_array_equal(view, same)


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


@pytest.mark.parametrize(("recipe", "parts"), [("imagenet", 2), ("small", 4)])
def test_views_of_the_parts_are_those_of_the_batch(batch, recipe, parts):
    images, make = batch[:4], views(32, recipe)
    cut = np.split(images, parts)

    def together(function):
        made = [function(part, (index, parts)) for index, part in enumerate(cut)]
        return [np.concatenate(views) for views in zip(*made, strict=True)]

    whole = make(images, (5, 6))
    found = together(lambda part, which: make(part, (5, 6), part=which))
    for view, same in zip(found, whole, strict=True):
        np.testing.assert_array_equal(view, same)
    crops = together(lambda part, which: make.crop(part, (5, 6), part=which))
    for crop, same in zip(crops, make.crop(images, (5, 6)), strict=True):
        np.testing.assert_array_equal(crop, same)


def test_the_part_may_be_a_tensor(batch):
    make = views(32, "small")
    halves = tf.data.Dataset.from_tensor_slices(np.stack(np.split(batch[:4], 2)))
    halves = halves.enumerate().map(lambda i, half: make(half, (5, 6), part=(i, 2)))
    found = zip(*halves.as_numpy_iterator(), strict=True)
    for view, same in zip(found, make(batch[:4], (5, 6)), strict=True):
        np.testing.assert_array_equal(np.concatenate(view), same)


def test_recipes_are_constants():
    view = RECIPES["imagenet"][0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.blur = 0.5
    assert (view.blur, view.solarize) == (1.0, 0.0)
    assert repr(views(96, "small")) == "Views(size=96, recipe='small')"


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UsageError, match=r"'tiny'.*imagenet, small"):
        views(32, "tiny")


@pytest.mark.parametrize("size", [0, -1, 32.0, "32", None, True])
def test_a_size_that_is_no_positive_int_is_refused(size):
    with pytest.raises(UsageError, match="size is"):
        views(size)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((8, 8, 3), np.uint8), ((2, 8, 8, 1), np.uint8), ((2, 8, 8, 3), np.float32)],
)
def test_images_of_another_kind_are_refused(shape, dtype):
    name = np.dtype(dtype).name
    message = rf"{name} of shape \({shape[0]}, .*batch axis"
    with pytest.raises(UsageError, match=message):
        views(32)(np.zeros(shape, dtype), seed=(0, 0))
