"""All operations of a view after its crop: their random parameters, their pixels."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.augmentation import ops, sampling
from bt_keras.augmentation.ops import bands, blur, color, orientation
from bt_keras.augmentation.ops.packed_rgb import to_image
from bt_keras.augmentation.recipes import ViewRecipe
from bt_keras.augmentation.statistics import Statistics


def sample_distortion(
    seed: sampling.Seed, batch: int | tf.Tensor, recipe: ViewRecipe
) -> dict:
    """Samples all random parameters of a view except its crop.

    Args:
        seed: Integer tensor of shape `(2,)`.
        batch: Integer. Number of images.
        recipe: `ViewRecipe`.

    Returns:
        Dict of tensors with leading dimension `batch`, partly nested.
    """
    flip, jitter, gray, blur, solarize = sampling.split_seed(seed, 5)
    strengths = (recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
    sampled = {
        "flip": sampling.bernoulli(flip, batch, recipe.flip),
        "jitter": sampling.color_jitter(jitter, batch, strengths, recipe.jitter),
        "grayscale": sampling.bernoulli(gray, batch, recipe.grayscale),
    }
    if recipe.blur:
        sampled["sigma"] = sampling.blur_sigma(blur, batch, recipe.sigma, recipe.blur)
    if recipe.solarize:
        sampled["solarize"] = sampling.bernoulli(solarize, batch, recipe.solarize)
    # Later operations take later seeds: views without them keep their pixels.
    *_, vertical_flip, rotate = sampling.split_seed(seed, 7)
    if recipe.vertical_flip:
        sampled["vertical_flip"] = sampling.bernoulli(
            vertical_flip, batch, recipe.vertical_flip
        )
    if recipe.rotate:
        sampled["turns"] = sampling.quarter_turns(rotate, batch, recipe.rotate)
    return sampled


@tf.function(jit_compile=True, autograph=False)
def distort(
    images: tf.Tensor,
    sampled: dict,
    max_sigma: float,
    threshold: int,
    statistics: Statistics,
) -> tf.Tensor:
    """Applies all operations after the crop in one compiled loop over the images.

    Args:
        images: uint8 tensor of shape `(N, size, size, C)`.
        sampled: Dict of `sample_distortion`.
        max_sigma: Float, the largest standard deviation of the blur in pixels.
        threshold: Integer in 0..256, the lowest level that solarization inverts.
        statistics: `Statistics` for the normalization.

    Returns:
        float32 tensor of the shape of `images`, normalized.
    """
    constants = max_sigma, threshold, statistics
    return _distorted(ops.map_images, images, sampled, *constants)


@tf.function(jit_compile=True, autograph=False)
def distort_at_once(
    images: tf.Tensor,
    sampled: dict,
    max_sigma: float,
    threshold: int,
    statistics: Statistics,
) -> tf.Tensor:
    """Same as `distort`, for GPUs and TPUs: each operation on the whole batch."""
    constants = max_sigma, threshold, statistics
    return _distorted(ops.map_at_once, images, sampled, *constants)


def _distorted(map_over, images, sampled, max_sigma, threshold, statistics):
    is_rgb = bands.is_rgb(images)

    def one(
        x,
        flip,
        jitter,
        grayscale,
        sigma=None,
        solarize=None,
        vertical_flip=None,
        turns=None,
    ):
        x = orientation.flip_packed(x, flip)
        if vertical_flip is not None:
            x = orientation.flip_vertically_packed(x, vertical_flip)
        if turns is not None:
            x = orientation.rotate_packed(x, turns)
        x = color.color_jitter(x, **jitter, by_band=not is_rgb)
        if is_rgb:
            x = color.grayscale(x, grayscale)
        if sigma is not None:
            x = blur.gaussian_blur(x, sigma, max_sigma=max_sigma)
        if solarize is not None:
            x = color.solarize(x, solarize, threshold=threshold)
        return color.normalize(to_image(x), statistics) if is_rgb else to_image(x)

    made = map_over(one, images, sampled)
    return made if is_rgb else color.normalize(made, statistics)
