"""Images of any number of bands as groups of three, which `packed_rgb` can hold.

The operations that are applied to each band see every group as an image of its own.
Images of three bands are one group and stay as they are.
"""

from __future__ import annotations

import tensorflow as tf

_GROUP = 3


def is_rgb(images: tf.Tensor) -> bool:
    """Returns whether images have three bands, as far as is known."""
    return images.shape[-1] in (_GROUP, None)


def split(images: tf.Tensor) -> tf.Tensor:
    """Splits images into groups of three bands; bands of zeros fill the last group.

    Args:
        images: Tensor of shape `(N, H, W, C)`.

    Returns:
        Tensor of shape `(N * G, H, W, 3)` for G groups, those of an image one after
        the other.
    """
    if is_rgb(images):
        return images
    count, height, width, _ = tf.unstack(tf.shape(images))
    groups = _groups(images.shape[-1])
    missing = groups * _GROUP - images.shape[-1]
    images = tf.pad(images, ((0, 0), (0, 0), (0, 0), (0, missing)))
    images = tf.reshape(images, (count, height, width, groups, _GROUP))
    images = tf.transpose(images, (0, 3, 1, 2, 4))
    return tf.reshape(images, (count * groups, height, width, _GROUP))


def merge(groups: tf.Tensor, channels: int | None) -> tf.Tensor:
    """Joins what `split` returned.

    Args:
        groups: Tensor of shape `(N * G, H, W, 3)`.
        channels: Integer, the number of bands C. `None` stands for three.

    Returns:
        Tensor of shape `(N, H, W, C)`.
    """
    if channels in (_GROUP, None):
        return groups
    count = _groups(channels)
    height, width = groups.shape[1:3]
    images = tf.reshape(groups, (-1, count, *tf.unstack(tf.shape(groups)[1:])))
    images = tf.transpose(images, (0, 2, 3, 1, 4))
    images = tf.reshape(images, (*tf.unstack(tf.shape(images)[:3]), count * _GROUP))
    images = images[..., :channels]
    images.set_shape((None, height, width, channels))
    return images


def repeat(parameters, channels: int | None):
    """Repeats parameters of each image for all of its groups.

    Args:
        parameters: Structure of tensors with leading dimension `N`.
        channels: Integer, the number of bands. `None` stands for three.

    Returns:
        The same structure of tensors with leading dimension `N * G`.
    """
    if channels in (_GROUP, None):
        return parameters
    count = _groups(channels)
    return tf.nest.map_structure(lambda x: tf.repeat(x, count, axis=0), parameters)


def _groups(channels):
    return -(-channels // _GROUP)
