"""Choices between operations for packed images: branches for one, masks for a batch.

On a CPU images pass one after the other, and each costs only the operations applied to
it. A GPU or TPU is faster with the whole batch at once, although every alternative is
then computed for every image. Both ways give the same levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf


def where(mask: tf.Tensor, changed: Callable, packed: tf.Tensor) -> tf.Tensor:
    """Returns changed images where a mask is true.

    Args:
        mask: Boolean scalar for one image, or tensor of shape `(N, 1, 1)`.
        changed: Function without arguments that returns what `packed` becomes.
        packed: int32 tensor of shape `(H, W)` or `(N, H, W)`.

    Returns:
        int32 tensor of the shape of `packed`.

    Example:

    >>> from bt_keras.augmentation.ops import choose
    >>> packed = tf.constant([[[1]], [[2]]])
    >>> mask = tf.constant([[[True]], [[False]]])
    >>> choose.where(mask, lambda: -packed, packed).numpy().ravel()
    array([-1,  2], dtype=int32)
    """
    if mask.shape.rank == 0:
        return tf.cond(mask, changed, lambda: packed)
    return tf.where(mask, changed(), packed)


def switch(index: tf.Tensor, branches: Sequence[Callable]) -> tf.Tensor:
    """Returns the result of the branch of every image's index.

    Args:
        index: int32 scalar for one image, or tensor of shape `(N, 1, 1)`.
        branches: Functions without arguments that return packed images.

    Returns:
        int32 tensor of shape `(H, W)` or `(N, H, W)`.
    """
    if index.shape.rank == 0:
        return tf.switch_case(index, branches)
    first, *others = (branch() for branch in branches)
    for number, other in enumerate(others, start=1):
        first = tf.where(index == number, other, first)
    return first


def shortcut(applies: tf.Tensor, cheaper: Callable, general: Callable) -> tf.Tensor:
    """Returns the result of `cheaper` for one image to which it applies.

    Args:
        applies: Boolean scalar for one image, or tensor of shape `(N, 1, 1)`.
        cheaper: Function without arguments that returns a packed image.
        general: The same; where `applies` is true, both return the same.

    Returns:
        int32 tensor of shape `(H, W)` or `(N, H, W)`. For a batch, that of `general`.
    """
    return tf.cond(applies, cheaper, general) if applies.shape.rank == 0 else general()
