"""Random parameters of the view operations, as pure functions of a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

# Of tf.random.Algorithm. "auto" would choose another generator on other devices, and so
# other numbers.
_PHILOX = 1
# The key with which TensorFlow scrambles the seeds of this generator.
_SCRAMBLE = 0x02461E293EC8F720

Seed: TypeAlias = "tf.Tensor | Sequence"


def as_seed(seed: Seed) -> tf.Tensor:
    """Converts a seed of two integers or integer tensors to int64 of shape `(2,)`."""
    if isinstance(seed, (tuple, list)):
        seed = tf.stack([tf.cast(number, tf.int64) for number in seed])
    return tf.ensure_shape(tf.cast(seed, tf.int64), (2,))


def split_seed(seed: Seed, count: int) -> list[tf.Tensor]:
    """Splits a seed into independent seeds.

    Args:
        seed: Integer tensor of shape `(2,)`, or two integers.
        count: Integer. Number of seeds.

    Returns:
        List of `count` int64 tensors of shape `(2,)`.
    """
    key, counter = _key_and_counter(as_seed(seed))
    seeds = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=(count, 2), key=key, counter=counter, alg=_PHILOX, dtype=tf.int64
    )
    return tf.unstack(seeds, num=count)


def uniform(
    seed: tf.Tensor, shape: Sequence, low: float = 0.0, high: float = 1.0
) -> tf.Tensor:
    """Samples float32 numbers uniformly from [low, high)."""
    key, counter = _key_and_counter(seed)
    unit = tf.raw_ops.StatelessRandomUniformV2(
        shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=tf.float32
    )
    low, high = tf.constant(low, tf.float32), tf.constant(high, tf.float32)
    return unit * (high - low) + low


def _key_and_counter(seed):
    """Returns the state of the generator for a seed.

    It is that of `tf.random.stateless_uniform(alg="philox")`, which composes it of 50
    operations: these took most of the time of tracing the views.
    `StatelessRandomGetKeyCounter` depends on the device and on XLA.
    """
    mixed = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[2],
        key=tf.constant([_SCRAMBLE], tf.uint64),
        counter=tf.cast(seed, tf.uint64),
        alg=_PHILOX,
        dtype=tf.uint64,
    )
    return mixed[:1], tf.stack([tf.zeros([], tf.uint64), mixed[1]])


def bernoulli(seed: tf.Tensor, batch: int | tf.Tensor, probability: float) -> tf.Tensor:
    """Samples bool of shape `(batch,)`, true with the given probability."""
    return uniform(seed, (batch,)) < probability


def quarter_turns(seed: Seed, batch: int | tf.Tensor, probability: float) -> tf.Tensor:
    """Samples rotations by 90, 180 or 270 degrees, each equally likely.

    Args:
        seed: Integer tensor of shape `(2,)`.
        batch: Integer. Number of images.
        probability: Float in [0, 1]. Fraction of the images that are rotated.

    Returns:
        int32 tensor of shape `(batch,)`, the numbers of quarter turns: 0 for images
        that are not rotated, otherwise 1, 2 or 3.
    """
    turns_seed, apply_seed = split_seed(seed, 2)
    turns = 1 + tf.cast(uniform(turns_seed, (batch,), 0.0, 3.0), tf.int32)
    return tf.where(bernoulli(apply_seed, batch, probability), turns, 0)


def crop_boxes(
    seed: Seed,
    batch: int | tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> tf.Tensor:
    """Samples crop boxes with the distribution of torchvision's RandomResizedCrop.

    Ten candidates are sampled, each with an area (uniform) and an aspect ratio
    (log-uniform). The first that fits into the image is placed uniformly. If none
    fits, the largest central box with an aspect ratio in the range is taken.

    Args:
        seed: Integer tensor of shape `(2,)`.
        batch: Integer. Number of boxes.
        height: Integer or scalar tensor. Height of the images in pixels; a tensor
            `(batch,)` if their sizes differ.
        width: Same as `height`, for the width.
        scale: Tuple of floats, the range of the box's fraction of the image area.
            Defaults to `(0.08, 1.0)`.
        ratio: Tuple of floats, the range of the box's width divided by its height.
            Defaults to `(3 / 4, 4 / 3)`.

    Returns:
        int32 tensor of shape `(batch, 4)`: top, left, height, width.
    """
    area_seed, ratio_seed, top_seed, left_seed = split_seed(seed, 4)
    height_f, width_f = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    # With an axis for the candidates.
    tall, wide = height_f[..., tf.newaxis], width_f[..., tf.newaxis]
    area = tall * wide * uniform(area_seed, (batch, 10), *scale)
    log_ratio = math.log(ratio[0]), math.log(ratio[1])
    aspect = tf.exp(uniform(ratio_seed, (batch, 10), *log_ratio))
    # tf.round rounds half to even, as Python does.
    widths, heights = tf.round(tf.sqrt(area * aspect)), tf.round(tf.sqrt(area / aspect))
    fits = (widths > 0) & (widths <= wide) & (heights > 0) & (heights <= tall)
    found = tf.reduce_any(fits, axis=1)
    first = tf.argmax(tf.cast(fits, tf.int32), axis=1)

    central_width = tf.minimum(width_f, tf.round(height_f * ratio[1]))
    central_height = tf.minimum(height_f, tf.round(width_f / ratio[0]))
    box_width = tf.gather(widths, first, batch_dims=1)
    box_height = tf.gather(heights, first, batch_dims=1)
    box_width = tf.where(found, box_width, central_width)
    box_height = tf.where(found, box_height, central_height)

    def place(seed, room):
        offset = tf.minimum(tf.floor(uniform(seed, (batch,)) * (room + 1.0)), room)
        return tf.where(found, offset, tf.floor(room / 2.0))

    top = place(top_seed, height_f - box_height)
    left = place(left_seed, width_f - box_width)
    boxes = tf.stack([top, left, box_height, box_width], axis=1)
    return tf.cast(boxes, tf.int32)


def color_jitter(
    seed: Seed,
    batch: int | tf.Tensor,
    strengths: Sequence[float],
    probability: float,
) -> dict[str, tf.Tensor]:
    """Samples the arguments of `ops.color_jitter` as torchvision's ColorJitter does.

    Args:
        seed: Integer tensor of shape `(2,)`.
        batch: Integer. Number of images.
        strengths: Four floats, for brightness, contrast, saturation and hue.
        probability: Float in [0, 1]. Fraction of the images that are jittered.

    Returns:
        Dict of tensors with leading dimension `batch`.
    """
    *factor_seeds, hue_seed, order_seed, apply_seed = split_seed(seed, 6)
    *factor_strengths, hue = strengths
    factors = [
        uniform(seed, (batch,), max(0.0, 1.0 - strength), 1.0 + strength)
        for seed, strength in zip(factor_seeds, factor_strengths, strict=True)
    ]
    return {
        "brightness": factors[0],
        "contrast": factors[1],
        "saturation": factors[2],
        "hue": uniform(hue_seed, (batch,), -hue, hue),
        "order": tf.argsort(uniform(order_seed, (batch, 4)), axis=1),
        "apply": bernoulli(apply_seed, batch, probability),
    }


def blur_sigma(
    seed: Seed, batch: int | tf.Tensor, sigma: tuple[float, float], probability: float
) -> tf.Tensor:
    """Samples standard deviations of the blur.

    Args:
        seed: Integer tensor of shape `(2,)`.
        batch: Integer. Number of images.
        sigma: Tuple of floats, the range of the standard deviation in pixels.
        probability: Float in [0, 1]. Fraction of the images that are blurred.

    Returns:
        float32 tensor of shape `(batch,)`, 0 for images that are not blurred.
    """
    sigma_seed, apply_seed = split_seed(seed, 2)
    sampled = uniform(sigma_seed, (batch,), *sigma)
    return tf.where(bernoulli(apply_seed, batch, probability), sampled, 0.0)
