"""Random parameters of the views: their distributions and independence."""

import dataclasses
import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from bt_keras.augmentation import RECIPES, sampling
from bt_keras.augmentation.distortion import sample_distortion
from bt_keras.augmentation.views import view_seeds

SAMPLES = 4000


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


def test_numbers_and_seeds_are_those_of_tensorflow():
    """Bit for bit: a run that resumes must draw the numbers of earlier releases."""
    rng = np.random.default_rng(0)
    compiled_split = tf.function(
        functools.partial(sampling.split_seed, count=6), jit_compile=True
    )
    for seed in rng.integers(-(2**63), 2**63 - 1, (20, 2)):
        np.testing.assert_array_equal(
            sampling.uniform(tf.constant(seed), (7, 10), -0.3, 1.7),
            tf.random.stateless_uniform((7, 10), seed, -0.3, 1.7, alg="philox"),
        )
        seeds = tf.random.experimental.stateless_split(seed, 6, alg="philox")
        np.testing.assert_array_equal(sampling.split_seed(seed, 6), seeds)
        np.testing.assert_array_equal(compiled_split(tf.constant(seed)), seeds)


@pytest.mark.parametrize(
    ("height", "width", "scale"),
    [
        (32, 32, (0.08, 1.0)),
        (75, 100, (0.08, 1.0)),
        (20, 60, (0.5, 1.0)),  # often falls back to the central box
        (60, 20, (0.9, 1.0)),  # always falls back
    ],
)
def test_crop_boxes_have_the_distribution_of_torchvision(height, width, scale):
    ratio = (3 / 4, 4 / 3)
    boxes = sampling.crop_boxes((3, 4), SAMPLES, height, width, scale, ratio).numpy()
    top, left, h, w = boxes.T
    assert boxes.dtype == np.int32
    assert min(top.min(), left.min()) >= 0
    assert min(h.min(), w.min()) > 0
    assert (top + h).max() <= height
    assert (left + w).max() <= width
    rng = np.random.default_rng(0)
    reference = np.array(
        [torchvision_box(rng, height, width, scale, ratio) for _ in range(SAMPLES)]
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
        error = math.sqrt((got.var() + expected[name].var()) / SAMPLES)
        assert abs(got.mean() - expected[name].mean()) <= 4 * error + 1e-9, name


def assert_probability(got, probability):
    error = math.sqrt(probability * (1 - probability) / SAMPLES)
    assert abs(np.mean(got) - probability) <= 4 * error


@pytest.mark.parametrize("recipe", ["imagenet", "small"])
@pytest.mark.parametrize("view", [0, 1])
def test_probabilities_and_ranges(recipe, view):
    recipe_of_view = RECIPES[recipe][view]
    sampled = sample_distortion((1, 2), SAMPLES, recipe_of_view)
    assert_probability(sampled["flip"], 0.5)
    assert_probability(sampled["grayscale"], 0.2)
    jitter = sampled["jitter"]
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
        error = (high - low) / math.sqrt(12 * SAMPLES)
        assert abs(values.mean() - (low + high) / 2) <= 4 * error
    orders, counts = np.unique(jitter["order"], axis=0, return_counts=True)
    assert len(orders) == 24
    assert np.all(np.abs(counts - SAMPLES / 24) <= 4.5 * math.sqrt(SAMPLES / 24))

    blur = {"imagenet": (1.0, 0.1), "small": (0, 0)}[recipe][view]
    assert ("sigma" in sampled) == bool(blur)
    if blur:
        sigma = sampled["sigma"].numpy()
        assert_probability(sigma > 0, blur)
        assert 0.1 <= sigma[sigma > 0].min() < sigma.max() <= 2.0
    assert ("solarize" in sampled) == (view == 1)
    if view == 1:
        assert_probability(sampled["solarize"], 0.2)


TURNED = {"vertical_flip": 0.5, "rotate": 0.6}


@pytest.mark.parametrize("name", ["imagenet", "small"])
def test_vertical_flips_and_rotations_leave_the_other_parameters_as_they_are(name):
    recipe = RECIPES[name][1]
    turned = dataclasses.replace(recipe, **TURNED)
    sampled = sample_distortion((1, 2), SAMPLES, turned)
    assert_probability(sampled.pop("vertical_flip"), 0.5)
    turns = sampled.pop("turns").numpy()
    for number, probability in enumerate((0.4, 0.2, 0.2, 0.2)):
        assert_probability(turns == number, probability)
    tf.nest.map_structure(
        np.testing.assert_array_equal,
        sampled,
        sample_distortion((1, 2), SAMPLES, recipe),
    )


def test_parameters_are_uncorrelated():
    """Operations of a step, and neighboring seeds and steps, share no numbers."""
    columns = []
    for seed in ((0, 0), (0, 1), (1, 0), (1, 1)):
        for (crop_seed, distort_seed), recipe in zip(
            view_seeds(seed), RECIPES["imagenet"], strict=True
        ):
            boxes = sampling.crop_boxes(crop_seed, SAMPLES, 200, 200)
            columns += list(boxes.numpy().T.astype(float))
            recipe = dataclasses.replace(recipe, **TURNED)
            sampled = sample_distortion(distort_seed, SAMPLES, recipe)
            columns += [sampled["flip"], sampled["grayscale"], sampled["sigma"]]
            columns += [sampled["vertical_flip"], sampled["turns"]]
            jitter = sampled["jitter"]
            columns += [jitter[n] for n in ("brightness", "contrast", "hue", "apply")]
    columns = np.array([np.asarray(column, float) for column in columns])
    correlation = np.corrcoef(columns)
    # The four numbers of one box depend on each other.
    for box in range(0, len(columns), 13):
        correlation[box : box + 4, box : box + 4] = 0
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < 5 / math.sqrt(SAMPLES)
