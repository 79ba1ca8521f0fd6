"""Random parameters of the view operations, as pure functions of a seed."""

import math

import tensorflow as tf


def as_seed(seed):
    """Two integers, Python's or tensors, as an int64 tensor of shape (2,)."""
    if isinstance(seed, (tuple, list)):
        seed = tf.stack([tf.cast(part, tf.int64) for part in seed])
    return tf.ensure_shape(tf.cast(seed, tf.int64), (2,))


def split_seed(seed, count):
    """`count` independent seeds out of one; nothing else relates neighbouring seeds."""
    return tf.unstack(
        tf.random.experimental.stateless_split(as_seed(seed), count, alg="philox"),
        num=count,
    )


def uniform(seed, shape, low=0.0, high=1.0):
    # The generator is named, since "auto" would draw other numbers on other devices.
    return tf.random.stateless_uniform(shape, seed, low, high, alg="philox")


def bernoulli(seed, batch, probability):
    """Bool (batch,), true with the given probability."""
    return uniform(seed, (batch,)) < probability


def crop_boxes(seed, batch, height, width, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    """Random boxes as torchvision's RandomResizedCrop draws them.

    Ten times an area (uniform) and a ratio of width to height (log-uniform) are drawn;
    the first box that fits the image is placed uniformly. If none does, the largest
    central box with a ratio in the range is taken.

    Args:
        seed: int tensor of shape `(2,)`.
        batch: int. How many boxes.
        height: int or scalar tensor. The images' height in pixels.
        width: int or scalar tensor. The images' width in pixels.
        scale: (float, float). Range of the box's share of the image's area.
        ratio: (float, float). Range of the box's width over its height.

    Returns:
        int32 tensor of shape `(batch, 4)`: top, left, height, width.
    """
    area_seed, ratio_seed, top_seed, left_seed = split_seed(seed, 4)
    height_f, width_f = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = height_f * width_f * uniform(area_seed, (batch, 10), *scale)
    log_ratio = math.log(ratio[0]), math.log(ratio[1])
    aspect = tf.exp(uniform(ratio_seed, (batch, 10), *log_ratio))
    # tf.round is Python's: half to even.
    widths, heights = tf.round(tf.sqrt(area * aspect)), tf.round(tf.sqrt(area / aspect))
    fits = (widths > 0) & (widths <= width_f) & (heights > 0) & (heights <= height_f)
    found = tf.reduce_any(fits, axis=1)
    first = tf.argmax(tf.cast(fits, tf.int32), axis=1)

    central_width = tf.minimum(width_f, tf.round(height_f * ratio[1]))
    central_height = tf.minimum(height_f, tf.round(width_f / ratio[0]))
    box_width = tf.gather(widths, first, batch_dims=1)
    box_height = tf.gather(heights, first, batch_dims=1)
    box_width = tf.where(found, box_width, central_width)
    box_height = tf.where(found, box_height, central_height)

    def place(seed, room):
        free = tf.minimum(tf.floor(uniform(seed, (batch,)) * (room + 1.0)), room)
        return tf.where(found, free, tf.floor(room / 2.0))

    top = place(top_seed, height_f - box_height)
    left = place(left_seed, width_f - box_width)
    boxes = tf.stack([top, left, box_height, box_width], axis=1)
    return tf.cast(boxes, tf.int32)


def color_jitter(seed, batch, strengths, probability):
    """Arguments of `ops.color_jitter` as torchvision's ColorJitter draws them.

    Args:
        seed: int tensor of shape `(2,)`.
        batch: int. How many images.
        strengths: four floats, for brightness, contrast, saturation and hue.
        probability: float. Share of the images that are jittered.

    Returns:
        dict of tensors with leading dimension `batch`.
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


def blur_sigma(seed, batch, sigma, probability):
    """Standard deviations of the blur, uniform in `sigma`, 0 where there is none."""
    sigma_seed, apply_seed = split_seed(seed, 2)
    drawn = uniform(sigma_seed, (batch,), *sigma)
    return tf.where(bernoulli(apply_seed, batch, probability), drawn, 0.0)
