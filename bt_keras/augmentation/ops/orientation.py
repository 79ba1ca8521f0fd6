"""Flips and rotations by right angles; they move pixels and change no level."""

from __future__ import annotations

import tensorflow as tf

from bt_keras.augmentation.ops import choose


def flip(images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Flips those images (N, H, W, C) horizontally whose `mask` (N,) is true."""
    images = tf.convert_to_tensor(images)
    return _choose(mask, images[:, :, ::-1], images)


def flip_vertically(images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Flips those images (N, H, W, C) vertically whose `mask` (N,) is true."""
    images = tf.convert_to_tensor(images)
    return _choose(mask, images[:, ::-1], images)


def rotate(images: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Rotates images counterclockwise by multiples of 90 degrees.

    Args:
        images: Tensor of shape `(N, H, W, C)` and any type, with `H == W`.
        turns: int32 tensor of shape `(N,)`. Number of quarter turns, in 0..3.

    Returns:
        Tensor of the shape and type of `images`.

    Example:

    >>> from bt_keras.augmentation import ops
    >>> images = tf.reshape(tf.range(4), (1, 2, 2, 1))
    >>> ops.rotate(images, [1])[0, :, :, 0].numpy()
    array([[1, 3],
           [0, 2]], dtype=int32)
    """
    images, turns = tf.convert_to_tensor(images), tf.convert_to_tensor(turns)
    images = _choose(turns >= 2, images[:, ::-1, ::-1], images)
    quarter = tf.transpose(images, (0, 2, 1, *range(3, images.shape.rank)))[:, ::-1]
    return _choose(turns % 2 == 1, quarter, images)


def _choose(mask, changed, images):
    """Takes image i of `changed` where `mask[i]` is true, otherwise of `images`."""
    mask = tf.convert_to_tensor(mask)
    ones = [1] * (images.shape.rank - 1)
    return tf.where(tf.reshape(mask, (-1, *ones)), changed, images)


def flip_packed(packed: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Flips a packed image horizontally if `mask` is true."""
    return choose.where(mask, lambda: packed[..., ::-1], packed)


def flip_vertically_packed(packed: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Flips a packed image vertically if `mask` is true."""
    return choose.where(mask, lambda: packed[..., ::-1, :], packed)


def rotate_packed(packed: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Rotates a square packed image counterclockwise by `turns` times 90 degrees."""
    return choose.switch(
        turns,
        [
            lambda: packed,
            lambda: tf.linalg.matrix_transpose(packed)[..., ::-1, :],
            lambda: packed[..., ::-1, ::-1],
            lambda: tf.linalg.matrix_transpose(packed)[..., ::-1],
        ],
    )
